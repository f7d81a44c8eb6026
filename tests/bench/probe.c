/* probe.c - runs in the test guest and says when each of its writes has reached the disk
 *
 *   probe FILE PORT
 *
 * One block of FILE is written and synced again and again, in its place, so that no journal of the filesystem has a part in it.
 * After each one its number goes to PORT, a virtio port: the host looks at its own clock then (measure), for the guest's stands
 * still while the guest is paused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 4096
#define REST_US 2000 /* between two writes: the writers want to do something, too */

static void must (int ok, const char *what)
{
	if (ok)
		return;
	perror (what);
	exit (1);
}

static void write_block (int file, uint64_t number)
{
	static unsigned char block[BLOCK_BYTES];

	memset (block, (int) (number & 0xFF), sizeof block);
	must (pwrite (file, block, sizeof block, 0) == sizeof block, "probe: write");
	must (fdatasync (file) == 0, "probe: fdatasync");
}

/* With nobody on the host to listen, it is not told: there that is a time without a write. */
static void tell (int port, uint64_t number)
{
	struct pollfd room = {.fd = port, .events = POLLOUT};

	must (poll (&room, 1, -1) == 1, "probe: poll");
	must (write (port, &number, sizeof number) == sizeof number || errno == EAGAIN, "probe: tell");
}

int main (int argc, char **argv)
{
	int file = argc == 3 ? open (argv[1], O_RDWR | O_CREAT, 0600) : -1;
	int port = argc == 3 ? open (argv[2], O_WRONLY | O_NONBLOCK) : -1;

	must (file >= 0 && port >= 0, "probe FILE PORT");
	write_block (file, 0);
	must (fsync (file) == 0, "probe: fsync");
	for (uint64_t number = 1;; number++) {
		write_block (file, number);
		tell (port, number);
		usleep (REST_US);
	}
}
