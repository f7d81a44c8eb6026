/* liar.c - runs in the test guest between the port and the real agent, and lies as its argument says
 *
 *   liar MODE [MOUNT_POINT]
 *
 *   silent        opens the port and never answers          garbage      answers with rubbish only
 *   flood         endless notifications                     overlong     one line without an end
 *   fake-freeze   claims a freeze that never was            broken       thaws behind the agent's back
 *   all-free      calls the whole disk free                 beyond       names ranges beyond the disk
 *   wrong-offset  the filesystem lies elsewhere             endless-map  a free map that does not advance
 *   die           kills the agent before the thaw         hang         never passes the thaw on
 *   no-freeze     never passes the freeze on
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT "/dev/virtio-ports/org.vmcompact.agent.0"

static const char *mode, *mount_point = "/mnt";
static int port, agent_fd;
static pid_t agent;
static int64_t freeze_id = -1, map_id = -1, filesystems_id = -1;
static uint64_t disk_bytes = 1 << 30;
static int map_answers;

static int is (const char *name)
{
	return strcmp (mode, name) == 0;
}

/* Write it all, waiting while the host takes nothing. */
static void put (int fd, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t done = write (fd, text, length);

		if (done <= 0) {
			usleep (10000);
			continue;
		}
		text += done;
		length -= (size_t) done;
	}
}

static void put_line (int fd, const char *line)
{
	put (fd, line, strlen (line));
	put (fd, "\n", 1);
}

static void thaw_behind_its_back (void)
{
	int fd = open (mount_point, O_RDONLY | O_DIRECTORY);

	if (fd < 0 || ioctl (fd, FITHAW, 0) < 0)
		perror ("liar: thaw");
	close (fd);
}

/* Invent an answer: nothing was frozen. */
static void fake_freeze (int64_t id, struct json_object *params)
{
	struct json_object *names;
	char line[1024];

	json_object_object_get_ex (params, "filesystems", &names);
	snprintf (line, sizeof line,
		  "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"token\":\"fake\",\"frozen\":%s,\"early\":[],"
		  "\"ranges\":1,"
		  "\"complete\":true}}",
		  (long long) id, json_object_to_json_string (names));
	put_line (port, line);
}

/* From the host. Returns 1 when the line was dealt with. */
static int lie_to_agent (struct json_object *message)
{
	struct json_object *member, *params = NULL;
	const char *method;
	int64_t id;
	char line[256];

	if (!json_object_object_get_ex (message, "method", &member))
		return 0;
	method = json_object_get_string (member);
	json_object_object_get_ex (message, "params", &params);
	json_object_object_get_ex (message, "id", &member);
	id = json_object_get_int64 (member);
	if (strcmp (method, "freeze") == 0)
		freeze_id = id;
	if (is ("no-freeze") && strcmp (method, "freeze") == 0)
		return 1;
	if (strcmp (method, "map") == 0)
		map_id = id;
	if (strcmp (method, "filesystems") == 0)
		filesystems_id = id;
	if (is ("fake-freeze") && strcmp (method, "freeze") == 0) {
		fake_freeze (id, params);
		return 1;
	}
	if (strcmp (method, "thaw") != 0 && !(is ("fake-freeze") && strcmp (method, "map") == 0))
		return 0;
	if (is ("broken"))
		thaw_behind_its_back ();
	if (is ("die")) {
		kill (agent, SIGKILL);
		exit (0);
	}
	if (is ("hang"))
		return 1;
	if (!is ("fake-freeze"))
		return 0;
	if (strcmp (method, "thaw") == 0)
		snprintf (line, sizeof line,
			  "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"held\":true,\"frozen_ms\":1}}",
			  (long long) id);
	else if (map_answers++ == 0)
		snprintf (line, sizeof line,
			  "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"ranges\":[[0,%llu]],\"next\":1}}",
			  (long long) id, (unsigned long long) disk_bytes);
	else
		snprintf (line, sizeof line, "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":{\"ranges\":[],\"next\":1}}",
			  (long long) id);
	put_line (port, line);
	return 1;
}

/* The last disk is taken for the one that counts. */
static void lie_about_device (struct json_object *device)
{
	struct json_object *member, *targets, *legs;

	json_object_object_get_ex (device, "kind", &member);
	if (strcmp (json_object_get_string (member), "disk") == 0) {
		json_object_object_get_ex (device, "bytes", &member);
		disk_bytes = (uint64_t) json_object_get_int64 (member);
	}
	if (!is ("wrong-offset") || strcmp (json_object_get_string (member), "partition") != 0)
		return;
	json_object_object_get_ex (device, "targets", &targets);
	json_object_object_get_ex (json_object_array_get_idx (targets, 0), "legs", &legs);
	json_object_object_add (json_object_array_get_idx (legs, 0), "offset", json_object_new_int64 (4096));
}

/* From the agent: change the message in place. */
static void lie_to_host (struct json_object *message)
{
	struct json_object *member, *result, *pair, *list, *devices;
	int64_t id;

	if (!json_object_object_get_ex (message, "id", &member) ||
	    !json_object_object_get_ex (message, "result", &result))
		return;
	id = json_object_get_int64 (member);
	if (id == filesystems_id && json_object_object_get_ex (result, "devices", &devices))
		for (size_t i = 0; i < json_object_array_length (devices); i++)
			lie_about_device (json_object_array_get_idx (devices, i));
	if (id != map_id)
		return;
	pair = json_object_new_array ();
	json_object_array_add (pair, json_object_new_int64 (is ("beyond") ? (int64_t) disk_bytes - 4096 : 0));
	json_object_array_add (pair, json_object_new_int64 ((int64_t) disk_bytes));
	if (is ("all-free") || is ("beyond")) {
		list = json_object_new_array ();
		if (map_answers++ == 0)
			json_object_array_add (list, pair);
		json_object_object_add (result, "ranges", list);
		json_object_object_add (result, "next", json_object_new_int64 (1));
	}
	if (is ("endless-map"))
		json_object_object_add (result, "next", json_object_new_int64 (0));
}

static void pass (int from_host, char *line)
{
	struct json_object *message;

	while (*line == '\xFF')
		line++;
	message = json_tokener_parse (line);
	if (message == NULL)
		return;
	if (from_host) {
		if (!lie_to_agent (message))
			put_line (agent_fd, line);
	} else {
		lie_to_host (message);
		put (port, "\xFF", 1);
		put_line (port, json_object_to_json_string_ext (message, JSON_C_TO_STRING_PLAIN));
	}
	json_object_put (message);
}

struct half {
	char data[1 << 20];
	size_t used;
};

/* Pass on each complete line that came from FD. 0: nothing came. */
static int relay (int fd, int from_host, struct half *half)
{
	ssize_t got = read (fd, half->data + half->used, sizeof half->data - half->used - 1);
	char *newline;

	if (got <= 0)
		return 0;
	half->used += (size_t) got;
	while ((newline = memchr (half->data, '\n', half->used)) != NULL) {
		size_t length = (size_t) (newline - half->data) + 1;

		*newline = 0;
		pass (from_host, half->data);
		memmove (half->data, half->data + length, half->used - length);
		half->used -= length;
	}
	return 1;
}

static void start_agent (void)
{
	int pair[2];

	if (socketpair (AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		exit (1);
	agent = fork ();
	if (agent == 0) {
		setpgid (0, 0);
		dup2 (pair[1], 5);
		execl ("/vmcompact-agent", "vmcompact-agent", "--port=fd:5", (char *) NULL);
		_exit (1);
	}
	close (pair[1]);
	agent_fd = pair[0];
	fcntl (agent_fd, F_SETFL, O_NONBLOCK);
}

/* Wait until a request comes, then never answer it properly. */
static void be_rude (void)
{
	char buffer[4096];
	static char noise[65536];

	for (;;) {
		ssize_t got = read (port, buffer, sizeof buffer);

		if (got <= 0) {
			usleep (20000);
			continue;
		}
		if (is ("silent"))
			continue;
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (char) (is ("overlong") ? 'x' : rand ());
		for (int i = 0; is ("garbage") && i < 40; i++)
			put (port, noise, sizeof noise);
		for (int i = 0; is ("overlong") && i < 40; i++)
			put (port, noise, sizeof noise);
		for (long i = 0; is ("flood") && i < 300000; i++)
			put_line (port, "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"id\":1,\"done_"
					"bytes\":1,\"total_bytes\":2}}");
	}
}

int main (int argc, char **argv)
{
	static struct half from_host, from_agent;

	mode = argc > 1 ? argv[1] : "honest";
	if (argc > 2)
		mount_point = argv[2];
	signal (SIGPIPE, SIG_IGN);
	port = open (PORT, O_RDWR | O_NONBLOCK);
	if (port < 0) {
		perror (PORT);
		return 1;
	}
	if (is ("silent") || is ("garbage") || is ("flood") || is ("overlong"))
		be_rude ();
	start_agent ();
	for (;;)
		if (!relay (port, 1, &from_host) + !relay (agent_fd, 0, &from_agent) == 2)
			usleep (2000);
}
