/* The host's end of the channel against scripted agents: a child at the other end of a socket pair, which says what its
 * script says. */
#include "unit.h"

#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_client.h"
#include "clock.h"

typedef void script (int fd);

static pid_t child;

/* --- for scripts ------------------------------------------------------------------------------------------ */

/* The next request, "" at the end. */
static const char *hear (int fd)
{
	static char line[70000];
	size_t used = 0;

	while (used + 1 < sizeof line && read (fd, line + used, 1) == 1) {
		if ((unsigned char) line[used] == 0xFF)
			continue;
		if (line[used++] == '\n')
			break;
	}
	line[used] = 0;
	return line;
}

static void say (int fd, const char *text)
{
	if (write (fd, text, strlen (text)) < 0)
		_exit (0);
}

static int64_t id_of (const char *request)
{
	struct json_object *root = json_tokener_parse (request), *id;

	return root != NULL && json_object_object_get_ex (root, "id", &id) ? json_object_get_int64 (id) : -1;
}

static void result (int fd, int64_t id, const char *text)
{
	char line[2048];

	(void) snprintf (line, sizeof line, "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"result\":%s}\n", (long long) id, text);
	say (fd, line);
}

static void greet_as (int fd, const char *request, bool right_nonce)
{
	struct json_object *root = json_tokener_parse (request), *params, *nonce;
	char line[1024];

	if (root == NULL || !json_object_object_get_ex (root, "params", &params) ||
	    !json_object_object_get_ex (params, "nonce", &nonce))
		_exit (1);
	(void) snprintf (line, sizeof line,
			 "{\"nonce\":\"%s\",\"session\":\"s\",\"agent_version\":\"1\",\"boot_id\":\"b\",\"protocol\":1,"
			 "\"capabilities\":[\"trim\"]}",
			 right_nonce ? json_object_get_string (nonce) : "another day");
	result (fd, id_of (request), line);
}

static void greet (int fd)
{
	greet_as (fd, hear (fd), true);
}

/* --- for tests ---------------------------------------------------------------------------------------------- */

static struct vmc_agent *open_with (script *play, struct vmc_error *err)
{
	struct vmc_transport *transport;
	int pair[2];

	assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), 0);
	child = fork ();
	if (child == 0) {
		(void) close (pair[0]);
		(void) signal (SIGPIPE, SIG_IGN);
		play (pair[1]);
		_exit (0);
	}
	(void) close (pair[1]);
	transport = vmc_socket_transport (pair[0], err);
	assert_non_null (transport);
	return vmc_agent_open (transport, 1000, err);
}

static void end (struct vmc_agent *agent)
{
	vmc_agent_close (agent);
	(void) kill (child, SIGKILL);
	(void) waitpid (child, NULL, 0);
}

static void expect_no_greeting (script *play, enum vmc_code code, const char *text)
{
	uint64_t began_ms = vmc_now_ms ();
	struct vmc_error err = {0};

	assert_null (open_with (play, &err));
	assert_int_equal (err.code, code);
	assert_non_null (strstr (err.text, text));
	assert_true (vmc_now_ms () - began_ms < 5000);
	end (NULL);
}

/* --- greeting -------------------------------------------------------------------------------------------------- */

static void after_rubbish (int fd)
{
	const char *request = hear (fd);

	say (fd, "\x01\x02 rubbish\n{}\n[1]\n{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}\n{\"half\":\"a li");
	say (fd, "\xFF");
	greet_as (fd, request, true);
	pause ();
}

static void greeting_survives_rubbish (void **state)
{
	struct vmc_error err = {0};
	struct vmc_agent *agent = open_with (after_rubbish, &err);

	(void) state;
	assert_non_null (agent);
	assert_string_equal (vmc_agent_version (agent), "1");
	end (agent);
}

static void another_day (int fd)
{
	const char *request = hear (fd);

	greet_as (fd, request, false);
	pause ();
}

static void answer_with_another_nonce_is_none (void **state)
{
	(void) state;
	expect_no_greeting (another_day, VMC_NO_AGENT, "nothing answers");
}

static void silent (int fd)
{
	(void) fd;
	pause ();
}

static void silence_ends (void **state)
{
	(void) state;
	expect_no_greeting (silent, VMC_NO_AGENT, "nothing answers");
}

static void gone (int fd)
{
	(void) close (fd);
}

static void hang_up_is_no_agent (void **state)
{
	(void) state;
	expect_no_greeting (gone, VMC_NO_AGENT, "closed");
}

static void overlong (int fd)
{
	static char noise[65536];

	(void) hear (fd);
	memset (noise, 'x', sizeof noise - 1);
	for (int i = 0; i < 40; i++)
		say (fd, noise);
	say (fd, "\n");
	pause ();
}

static void overlong_line_is_refused (void **state)
{
	(void) state;
	expect_no_greeting (overlong, VMC_PROTOCOL, "line of more than");
}

static void flood (int fd)
{
	(void) hear (fd);
	for (;;)
		say (fd, "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n");
}

static void flood_ends (void **state)
{
	struct vmc_error err = {0};

	(void) state;
	assert_null (open_with (flood, &err));
	assert_true (err.code == VMC_PROTOCOL || err.code == VMC_NO_AGENT); /* by number or by time */
	end (NULL);
}

static void newlines (int fd)
{
	(void) hear (fd);
	for (;;)
		say (fd, "\n\n\n\n\n\n\n\xFF\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n");
}

static void bytes_that_are_no_messages_end_at_the_deadline (void **state)
{
	(void) state;
	expect_no_greeting (newlines, VMC_NO_AGENT, "nothing answers");
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static const struct vmc_name two_names[] = {{"1:1"}, {"1:2"}};

/* Freeze two filesystems with an agent that plays PLAY. */
static void expect_freeze (script *play, int wanted, enum vmc_code code, const char *text)
{
	struct vmc_error err = {0};
	struct vmc_agent *agent = open_with (play, &err);
	struct vmc_freeze_params params = {.disk = "254:0",
					   .filesystems = {(void *) two_names, 2},
					   .early = {(void *) (two_names + 1), 1},
					   .deadline_ms = 100};
	struct vmc_name early_names[2];
	struct vmc_list early = {early_names, 0};
	char token[VMC_NAME_SIZE];

	assert_non_null (agent);
	assert_int_equal (vmc_agent_freeze (agent, &params, 1000, token, &early, &err), wanted);
	if (wanted == 0) {
		assert_int_equal (early.count, 1);
		assert_string_equal (early_names[0].name, "1:2");
	}
	if (wanted < 0) {
		assert_int_equal (err.code, code);
		assert_non_null (strstr (err.text, text));
	}
	end (agent);
}

static void freezes_both (int fd)
{
	const char *request;

	greet (fd);
	request = hear (fd);
	result (fd, id_of (request) + 5, "{}"); /* of nobody's request */
	say (fd, "{\"jsonrpc\":\"2.0\",\"method\":\"progress\",\"params\":{\"id\":2,\"done_bytes\":1,\"total_bytes\":2}"
		 "}\n");
	result (fd, id_of (request),
		"{\"token\":\"t\",\"frozen\":[\"1:1\",\"1:2\"],\"early\":[\"1:2\"],\"ranges\":0,\"complete\":true}");
	pause ();
}

static void other_messages_are_passed_over (void **state)
{
	(void) state;
	expect_freeze (freezes_both, 0, VMC_FAILED, "");
}

static void freezes_one (int fd)
{
	greet (fd);
	result (fd, id_of (hear (fd)),
		"{\"token\":\"t\",\"frozen\":[\"1:1\"],\"early\":[],\"ranges\":0,\"complete\":true}");
	pause ();
}

static void freeze_of_less_is_refused (void **state)
{
	(void) state;
	expect_freeze (freezes_one, -1, VMC_PROTOCOL, "something else");
}

static void maps_another_early (int fd)
{
	greet (fd);
	result (fd, id_of (hear (fd)),
		"{\"token\":\"t\",\"frozen\":[\"1:1\",\"1:2\"],\"early\":[\"1:1\"],\"ranges\":0,\"complete\":true}");
	pause ();
}

static void maps_one_early_twice (int fd)
{
	greet (fd);
	result (fd, id_of (hear (fd)),
		"{\"token\":\"t\",\"frozen\":[\"1:1\",\"1:2\"],\"early\":[\"1:2\",\"1:2\"],\"ranges\":0,\"complete\":"
		"true}");
	pause ();
}

static void a_map_from_before_that_was_not_allowed_is_refused (void **state)
{
	(void) state;
	expect_freeze (maps_another_early, -1, VMC_PROTOCOL, "something else");
	expect_freeze (maps_one_early_twice, -1, VMC_PROTOCOL, "something else");
}

static void unknown_key (int fd)
{
	greet (fd);
	result (fd, id_of (hear (fd)),
		"{\"token\":\"t\",\"frozen\":[],\"early\":[],\"ranges\":0,\"complete\":true,\"extra\":1}");
	pause ();
}

static void unknown_keys_are_refused (void **state)
{
	(void) state;
	expect_freeze (unknown_key, -1, VMC_PROTOCOL, "keys that are not known");
}

static void says_busy (int fd)
{
	char line[512];

	greet (fd);
	(void) snprintf (line, sizeof line,
			 "{\"jsonrpc\":\"2.0\",\"id\":%lld,\"error\":{\"code\":-32000,\"message\":\"evil \\u001b[31m\","
			 "\"data\":{\"code\":\"busy\",\"errno\":\"EBUSY\"}}}\n",
			 (long long) id_of (hear (fd)));
	say (fd, line);
	pause ();
}

static void errors_of_the_agent_are_ours_and_escaped (void **state)
{
	(void) state;
	expect_freeze (says_busy, -1, VMC_BUSY, "evil \\x1B[31m");
}

static void hangs_up (int fd)
{
	greet (fd);
	(void) hear (fd);
}

static void hang_up_in_the_middle_is_a_failure (void **state)
{
	(void) state;
	expect_freeze (hangs_up, -1, VMC_FAILED, "closed");
}

static void never_answers (int fd)
{
	greet (fd);
	pause ();
}

static void no_answer_is_a_time_out (void **state)
{
	(void) state;
	expect_freeze (never_answers, -1, VMC_TIMEOUT, "does not answer");
}

/* A trim that takes longer than an agent may be silent; this one answers what it is asked meanwhile. */
static void works_for_long (int fd)
{
	const char *request;
	int64_t trim;

	greet (fd);
	trim = id_of (hear (fd));
	request = hear (fd);
	if (strstr (request, "\"method\":\"ping\"") == NULL)
		exit (1);
	result (fd, id_of (request), "{\"uptime_ms\":1}");
	usleep (500000);
	result (fd, trim, "{\"trimmed_bytes\":77}");
	pause ();
}

static void a_long_job_is_waited_for_while_the_agent_answers (void **state)
{
	struct vmc_error err = {0};
	struct vmc_agent *agent = open_with (works_for_long, &err);
	uint64_t bytes = 0;

	(void) state;
	assert_non_null (agent);
	if (vmc_agent_trim (agent, "1:1", false, 60000, &bytes, &err) < 0)
		fail_msg ("%s", err.text);
	assert_int_equal (bytes, 77);
	end (agent);
}

static void an_agent_that_dies_at_its_job_is_not_waited_for (void **state)
{
	struct vmc_error err = {0};
	struct vmc_agent *agent = open_with (never_answers, &err);
	uint64_t bytes;

	(void) state;
	assert_non_null (agent);
	assert_int_equal (vmc_agent_trim (agent, "1:1", false, 3600000, &bytes, &err), -1);
	assert_error (err, VMC_TIMEOUT, "has died, or hangs");
	end (agent);
}

static char zero_answer[512];

static void zeroes (int fd)
{
	const char *request;

	greet (fd);
	request = hear (fd);
	if (strstr (request, "\"method\":\"zero\"") == NULL || strstr (request, "\"filesystem\":\"1:1\"") == NULL ||
	    strstr (request, "\"reserve_bytes\":16777216") == NULL ||
	    strstr (request, "\"rate_bytes_per_s\":0") == NULL)
		_exit (1);
	result (fd, id_of (request), zero_answer);
	pause ();
}

static int zero (struct vmc_zero_result *got, struct vmc_error *err)
{
	struct vmc_agent *agent = open_with (zeroes, err);
	int answer;

	assert_non_null (agent);
	answer = vmc_agent_zero (agent, "1:1", 16777216, 0, 1000, got, err);
	end (agent);
	return answer;
}

static void zeroed_bytes_are_told (void **state)
{
	struct vmc_zero_result got;
	struct vmc_error err = {0};

	(void) state;
	strcpy (zero_answer, "{\"zeroed_bytes\":4096,\"zero_bytes\":8192}");
	assert_int_equal (zero (&got, &err), 0);
	assert_int_equal (got.zeroed_bytes, 4096);
	assert_int_equal (got.zero_bytes, 8192);
}

static void half_an_answer_to_zero_is_none (void **state)
{
	struct vmc_zero_result got;
	struct vmc_error err = {0};

	(void) state;
	strcpy (zero_answer, "{\"zeroed_bytes\":4096}");
	assert_int_equal (zero (&got, &err), -1);
	assert_error (err, VMC_PROTOCOL, "'zero_bytes' is missing");
	assert_int_equal (got.zeroed_bytes, 0);
}

/* --- the map -------------------------------------------------------------------------------------------------------- */

static const char *pages[4];

static void sends_pages (int fd)
{
	greet (fd);
	for (int i = 0; i < 4 && pages[i] != NULL; i++)
		result (fd, id_of (hear (fd)), pages[i]);
	pause ();
}

/* The map of a disk of 1,000,000 bytes. */
static int get_map (struct vmc_extents *map, struct vmc_error *err)
{
	struct vmc_agent *agent = open_with (sends_pages, err);
	int got;

	assert_non_null (agent);
	got = vmc_agent_map (agent, "t", 1000000, 5000, map, err);
	end (agent);
	return got;
}

static void expect_bad_map (const char *first, const char *second, const char *text)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct vmc_error err = {0};

	pages[0] = first;
	pages[1] = second;
	pages[2] = NULL;
	assert_int_equal (get_map (&map, &err), -1);
	assert_int_equal (err.code, VMC_PROTOCOL);
	assert_non_null (strstr (err.text, text));
}

static void pages_are_joined (void **state)
{
	VMC_CLEANUP_EXTENTS struct vmc_extents map = {0};
	struct vmc_error err = {0};

	(void) state;
	pages[0] = "{\"ranges\":[[0,10],[20,10]],\"next\":2}";
	pages[1] = "{\"ranges\":[[30,10]],\"next\":3}";
	pages[2] = "{\"ranges\":[],\"next\":3}";
	assert_int_equal (get_map (&map, &err), 0);
	assert_int_equal (map.count, 2);
	assert_int_equal (map.items[1].start, 20);
	assert_int_equal (map.items[1].length, 20);
}

static void bad_maps_are_refused (void **state)
{
	(void) state;
	expect_bad_map ("{\"ranges\":[[999999,2]],\"next\":1}", "{\"ranges\":[],\"next\":1}", "beyond the disk");
	expect_bad_map ("{\"ranges\":[[20,10],[0,10]],\"next\":2}", "{\"ranges\":[],\"next\":2}", "not sorted");
	expect_bad_map ("{\"ranges\":[[0,20],[10,10]],\"next\":2}", "{\"ranges\":[],\"next\":2}", "not sorted");
	expect_bad_map ("{\"ranges\":[[0,10]],\"next\":0}", NULL, "no end");
	expect_bad_map ("{\"ranges\":[[0,10]],\"next\":7}", NULL, "no end");
	expect_bad_map ("{\"ranges\":[],\"next\":1}", NULL, "no end");
	expect_bad_map ("{\"ranges\":[[0,0]],\"next\":1}", NULL, "not [start, length]");
	expect_bad_map ("{\"ranges\":[[-1,10]],\"next\":1}", NULL, "not [start, length]");
}

int main (void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test (greeting_survives_rubbish),
		cmocka_unit_test (answer_with_another_nonce_is_none),
		cmocka_unit_test (silence_ends),
		cmocka_unit_test (hang_up_is_no_agent),
		cmocka_unit_test (overlong_line_is_refused),
		cmocka_unit_test (flood_ends),
		cmocka_unit_test (bytes_that_are_no_messages_end_at_the_deadline),
		cmocka_unit_test (other_messages_are_passed_over),
		cmocka_unit_test (freeze_of_less_is_refused),
		cmocka_unit_test (a_map_from_before_that_was_not_allowed_is_refused),
		cmocka_unit_test (a_long_job_is_waited_for_while_the_agent_answers),
		cmocka_unit_test (an_agent_that_dies_at_its_job_is_not_waited_for),
		cmocka_unit_test (unknown_keys_are_refused),
		cmocka_unit_test (errors_of_the_agent_are_ours_and_escaped),
		cmocka_unit_test (hang_up_in_the_middle_is_a_failure),
		cmocka_unit_test (no_answer_is_a_time_out),
		cmocka_unit_test (zeroed_bytes_are_told),
		cmocka_unit_test (half_an_answer_to_zero_is_none),
		cmocka_unit_test (pages_are_joined),
		cmocka_unit_test (bad_maps_are_refused),
	};

	cmocka_set_message_output (CM_OUTPUT_TAP);
	return cmocka_run_group_tests (tests, NULL, NULL);
}
