/* metrics.c - tests of host/metrics.c, whose directories are new tmpfs in each of them, seen by this process alone */
#include "unit.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apart.h"
#include "directories.h"
#include "history.h"
#include "metrics.h"

#define UUID "11111111-2222-3333-4444-555555555555"
#define OTHER_UUID "66666666-7777-8888-9999-aaaaaaaaaaaa"
#define DIRECTORY "/var/lib/metrics"
#define FILE_PATH DIRECTORY "/" VMC_METRICS_FILE

static char *text;

static int make_room (void **state)
{
	(void) state;
	text = NULL;
	return mount ("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") ||
	       mount ("tmpfs", "/run", "tmpfs", 0, "mode=0755") || mkdir (VMC_STATE_DIRECTORY, 0700) ||
	       mkdir (VMC_HISTORY_DIRECTORY, 0700) || mkdir (DIRECTORY, 0755);
}

static int remove_room (void **state)
{
	(void) state;
	free (text);
	return umount2 ("/var/lib", MNT_DETACH) || umount2 ("/run", MNT_DETACH);
}

static void put (const char *uuid, const char *domain, const char *disks)
{
	char path[128];
	FILE *file;

	(void) snprintf (path, sizeof path, VMC_HISTORY_DIRECTORY "/%s.json", uuid);
	file = fopen (path, "w");
	assert_non_null (file);
	(void) fprintf (file, "{\"domain\": \"%s\", \"uuid\": \"%s\", \"disks\": [%s]}", domain, uuid, disks);
	assert_int_equal (fclose (file), 0);
}

static const char *make_text (void)
{
	struct vmc_error err;

	free (text);
	text = vmc_metrics_text (&err);
	if (text == NULL)
		fail_msg ("%s", err.text);
	return text;
}

#define ALL_KNOWN \
	"{\"target\": \"vda\", \"result\": \"done\", \"time_s\": 1700000007, \"success_s\": 1700000005, " \
	"\"duration_ms\": 4250, " \
	"\"frozen_ms\": 7, \"virtual_bytes\": 1099511627776, \"allocated_bytes\": 4503599627370497, " \
	"\"reclaimable_bytes\": 6, \"reclaimed_bytes\": 500, \"reclaimed_total_bytes\": 0}"

static void every_number_has_its_line (void **state)
{
#define VDA "{domain=\"vm1\",disk=\"vda\"} "
	static const char *const lines[] = {
		"\nvmcompact_success" VDA "1\n",
		"\nvmcompact_duration_seconds" VDA "4.25\n",
		"\nvmcompact_frozen_seconds" VDA "0.007\n",
		"\nvmcompact_reclaimed_bytes" VDA "500\n",
		"\nvmcompact_reclaimed_bytes_total" VDA "0\n",
		"\nvmcompact_reclaimable_bytes" VDA "6\n",
		"\nvmcompact_allocated_bytes" VDA "4.5035996273705e+15\n",
		"\nvmcompact_virtual_bytes" VDA "1099511627776\n",
		"\nvmcompact_last_run_timestamp_seconds" VDA "1700000007\n",
		"\nvmcompact_last_success_timestamp_seconds" VDA "1700000005\n",
	};

	(void) state;
	put (UUID, "vm1", ALL_KNOWN);
	(void) make_text ();
	for (size_t i = 0; i < UNIT_COUNT (lines); i++)
		assert_contains (text, lines[i]);
}

static void what_is_not_known_has_no_line (void **state)
{
	(void) state;
	put (UUID, "vm1", "{\"target\": \"vda\", \"result\": \"no-agent\", \"time_s\": 5}");
	(void) make_text ();
	assert_contains (text, "\nvmcompact_success" VDA "0\n");
	assert_contains (text, "\nvmcompact_last_run_timestamp_seconds" VDA "5\n");
	for (const char *line = text; line != NULL && *line != 0; line = strchr (line, '\n'), line += line != NULL)
		if (strncmp (line, "vmcompact_", 10) == 0 && strncmp (line, "vmcompact_success{", 18) != 0 &&
		    strncmp (line, "vmcompact_last_run_timestamp_seconds{", 37) != 0)
			fail_msg ("nobody knows this: %s", line);
}

/* "#", a name and a type, or a name, labels and one value: no line has a time of its own. Each metric stands together. */
static void assert_well_formed (void)
{
	char copy[20000], seen[5000] = ";", *save = NULL, metric[200] = "";

	assert_true (strlen (text) < sizeof copy);
	strcpy (copy, text);
	assert_true (text[0] == 0 || text[strlen (text) - 1] == '\n');
	for (char *line = strtok_r (copy, "\n", &save); line != NULL; line = strtok_r (NULL, "\n", &save)) {
		char name[200], type[20], *end;

		if (sscanf (line, "# HELP %199s ", name) == 1) {
			char key[210];

			(void) snprintf (key, sizeof key, ";%s;", name);
			if (strstr (seen, key) != NULL)
				fail_msg ("twice: %s", line);
			strcat (strcat (seen, name), ";");
			continue;
		}
		if (sscanf (line, "# TYPE %199s %19s", metric, type) == 2) {
			assert_string_equal (metric, name);
			assert_true (strcmp (type, "gauge") == 0 || strcmp (type, "counter") == 0);
			assert_int_equal (strcmp (type, "counter") == 0, strstr (metric, "_total") != NULL);
			continue;
		}
		assert_int_equal (strncmp (line, metric, strlen (metric)), 0);
		end = line + strlen (metric);
		if (*end == '{') {
			bool quoted = false;

			for (end++; quoted || *end != '}'; end++) {
				assert_true (*end != 0);
				if (quoted && *end == '\\') {
					end++;
					assert_true (*end == '\\' || *end == '"' || *end == 'n');
				} else if (*end == '"') {
					quoted = !quoted;
				}
			}
			end++;
		}
		assert_int_equal (*end, ' ');
		(void) strtod (end + 1, &end);
		if (*end != 0)
			fail_msg ("something is behind the value of '%s'", line);
	}
}

static void every_line_is_well_formed (void **state)
{
	struct vmc_error err;

	(void) state;
	(void) make_text ();
	assert_well_formed ();
	put (UUID, "vm1", ALL_KNOWN ", {\"target\": \"vdb\", \"result\": \"done\", \"time_s\": 5}");
	put (OTHER_UUID, "vm2", ALL_KNOWN);
	assert_int_equal (vmc_history_note_all (3, &err), 0);
	(void) make_text ();
	assert_well_formed ();
	assert_contains (text, "vmcompact_success{domain=\"vm1\",disk=\"vdb\"} 1\n");
	assert_contains (text, "vmcompact_success{domain=\"vm2\",disk=\"vda\"} 1\n");
}

static size_t times (const char *part)
{
	size_t count = 0;

	for (const char *at = strstr (text, part); at != NULL; at = strstr (at + 1, part))
		count++;
	return count;
}

/* A domain was made anew, or another one renamed: the collector takes no line twice. */
static void of_two_with_one_name_the_younger_counts (void **state)
{
	static const char older[] = "{\"target\": \"vda\", \"result\": \"failed\", \"time_s\": 5}, "
				    "{\"target\": \"vdb\", \"result\": \"failed\", \"time_s\": 5}";

	(void) state;
	for (int i = 0; i < 2; i++) {
		put (i ? OTHER_UUID : UUID, "vm1", older);
		put (i ? UUID : OTHER_UUID, "vm1", ALL_KNOWN);
		(void) make_text ();
		assert_int_equal (times ("vmcompact_success{domain=\"vm1\",disk=\"vda\"}"), 1);
		assert_contains (text, "\nvmcompact_success" VDA "1\n");
		assert_contains (text, "\nvmcompact_success{domain=\"vm1\",disk=\"vdb\"} 0\n");
		assert_int_equal (times (VDA), 10);
	}
}

static void labels_are_escaped (void **state)
{
	(void) state;
	put (UUID, "a \\\"b\\\" \\\\x0A} 1", "{\"target\": \"\\\\\\\"\\n}\", \"result\": \"done\", \"time_s\": 5}");
	(void) make_text ();
	assert_contains (text, "\nvmcompact_success{domain=\"a \\\"b\\\" \\\\x0A} 1\",disk=\"\\\\\\\"\\n}\"} 1\n");
	assert_well_formed ();
}

static void a_run_without_a_disk_has_an_empty_label (void **state)
{
	(void) state;
	put (UUID, "vm1", "{\"target\": \"\", \"result\": \"no-agent\", \"time_s\": 5}");
	assert_contains (make_text (), "\nvmcompact_success{domain=\"vm1\",disk=\"\"} 0\n");
}

static void the_last_night_has_its_lines (void **state)
{
	struct vmc_error err;

	(void) state;
	assert_null (strstr (make_text (), "vmcompact_all_"));
	assert_int_equal (vmc_history_note_all (5, &err), 0);
	assert_contains (make_text (), "\nvmcompact_all_exit_status 5\n");
	assert_contains (text, "\nvmcompact_all_timestamp_seconds 1");
}

static void a_damaged_history_is_left_out (void **state)
{
	(void) state;
	put (UUID, "vm1", "{");
	put (OTHER_UUID, "vm2", ALL_KNOWN);
	(void) make_text ();
	assert_null (strstr (text, "vm1"));
	assert_contains (text, "domain=\"vm2\"");
}

static void without_a_history_there_are_heads_alone (void **state)
{
	(void) state;
	assert_return_code (rmdir (VMC_HISTORY_DIRECTORY), errno);
	assert_contains (make_text (), "# TYPE vmcompact_success gauge\n");
	assert_null (strstr (text, "{"));
}

/* --- the file --------------------------------------------------------------------------------------- */

static void the_file_can_be_read_by_all (void **state)
{
	char have[20000] = "";
	struct vmc_error err;
	struct stat status;
	FILE *file;

	(void) state;
	put (UUID, "vm1", ALL_KNOWN);
	(void) umask (077);
	for (int i = 0; i < 2; i++) /* the second one replaces it */
		if (vmc_metrics_write (DIRECTORY, &err) < 0)
			fail_msg ("%s", err.text);
	(void) umask (022);
	assert_return_code (stat (FILE_PATH, &status), errno);
	assert_int_equal (status.st_mode & 07777, 0644);
	assert_int_equal (access (FILE_PATH ".new", F_OK), -1);
	file = fopen (FILE_PATH, "r");
	assert_non_null (file);
	have[fread (have, 1, sizeof have - 1, file)] = 0;
	(void) fclose (file);
	assert_string_equal (have, make_text ());
}

static void a_directory_that_is_not_there_is_told (void **state)
{
	static char path[5000];
	struct vmc_error err;

	(void) state;
	assert_int_equal (vmc_metrics_write ("/var/lib/nowhere", &err), -1);
	assert_error (err, VMC_FAILED, "/var/lib/nowhere/" VMC_METRICS_FILE);
	assert_int_equal (err.errnum, ENOENT);
	memset (path, '/', sizeof path - 1);
	assert_int_equal (vmc_metrics_write (path, &err), -1);
	assert_int_equal (err.errnum, ENAMETOOLONG);
}

#define ROOM_TEST(name) cmocka_unit_test_setup_teardown (name, make_room, remove_room)

static const struct CMUnitTest tests[] = {
	ROOM_TEST (every_number_has_its_line),
	ROOM_TEST (what_is_not_known_has_no_line),
	ROOM_TEST (every_line_is_well_formed),
	ROOM_TEST (of_two_with_one_name_the_younger_counts),
	ROOM_TEST (labels_are_escaped),
	ROOM_TEST (a_run_without_a_disk_has_an_empty_label),
	ROOM_TEST (the_last_night_has_its_lines),
	ROOM_TEST (a_damaged_history_is_left_out),
	ROOM_TEST (without_a_history_there_are_heads_alone),
	ROOM_TEST (the_file_can_be_read_by_all),
	ROOM_TEST (a_directory_that_is_not_there_is_told),
};

int main (void)
{
	return unit_apart () ? UNIT_RUN (tests) : 0;
}
