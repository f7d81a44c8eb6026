/* rcu.c - see rcu.h
 *
 * /sys/kernel/rcu_expedited is a number: 0 is the kernel's own way. Documentation/RCU/Design/Requirements of the kernel's source has
 * what it means, and that rcu_normal overrules it.
 */
#include "rcu.h"

#include <fcntl.h>
#include <unistd.h>

#define SETTING "/sys/kernel/rcu_expedited"

bool vmc_rcu_can_hurry (void)
{
	int fd = open (SETTING, O_RDWR | O_CLOEXEC);
	char digit = '?';

	if (fd < 0)
		return false;
	if (read (fd, &digit, 1) != 1)
		digit = '?';
	(void) close (fd);
	return digit == '0';
}

void vmc_rcu_hurry (bool hurry)
{
	int fd = open (SETTING, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write (fd, hurry ? "1" : "0", 1) < 0) {
		/* Then the freeze takes as long as it does without. */
	}
	(void) close (fd);
}
