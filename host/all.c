/* all.c - see all.h
 *
 *   list       the domains, but those that are left out by name or by their own metadata; and whatever an earlier run has left away
 *              from home, left out or not
 *   survey     a dry run of each: what could it give back, and where do its images lie?
 *   night      schedule.c says who is next; each is compacted by a process of its own, which is this program with that one domain,
 *              and writes its own report, history and log; what an earlier run has left away from home is brought home first
 *   end        the summary, the metrics, the exit status of the worst
 *
 * One that hangs, crashes or fails stops nobody else. This process itself touches no domain: killed at any point it leaves nothing
 * behind but the runs that it had started, which get SIGTERM then, bring their domains home and end. Asked to end, it passes that on
 * and waits for them.
 */
#include "all.h"

#include <errno.h>
#include <fnmatch.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "aftermath.h"
#include "clock.h"
#include "history.h"
#include "journal.h"
#include "lock.h"
#include "metrics.h"
#include "nightly.h"
#include "process.h"
#include "report.h"
#include "schedule.h"
#include "survey.h"
#include "text.h"

#define LOOK_MS 100
#define ARGUMENTS_MAX (VMC_OPTION_DISKS_MAX + 32)
#define ARGUMENT_SIZE 512
#define WAIT_MAX_S (12 * 3600)    /* for a guest's own time, without --until */
#define KEEPER_MS 1000            /* the keeper of a run that died holds the lock for a moment */
#define FORGET_S (30 * 86400)     /* what libvirt has not known for so long is gone */
#define IO_LOWEST ((2 << 13) | 7) /* ioprio_set(2): best effort, lowest; the idle class may be chosen from outside */
#define IO_CLASS(priority) ((priority) >> 13) /* 0: none was set */

/* One domain of the night. */
struct guest {
	char name[VMC_NAME_SIZE * 4]; /* escaped */
	char uuid[VIR_UUID_STRING_BUFLEN];
	struct vmc_nightly nightly;
	struct vmc_process process;
	uint64_t began_s;
	int exit_status;
};

struct night {
	struct vmc_connection *connection;
	const struct vmc_options *options;
	struct guest *guests;
	struct vmc_task *tasks; /* one for each guest */
	size_t count;
	uint64_t began_ms, reclaimed_bytes;
	int64_t closes_s; /* 0: never */
	int worst;
	bool told; /* the runs have been asked to end */
};

static void complain (struct night *night, const char *name, const struct vmc_error *error)
{
	(void) fprintf (stderr, "vmcompact: %s%s%s\n", name, *name ? ": " : "", error->text);
	night->worst = vmc_worse_status (night->worst, vmc_code_exit_status (error->code));
}

/* One guest's run could not tell for itself how it went: it is told here, to everybody. */
static void give_up (struct night *night, struct guest *guest, const struct vmc_error *error)
{
	struct vmc_report report = {.failed = true, .error = *error};
	struct vmc_error why;

	guest->exit_status = vmc_code_exit_status (error->code);
	complain (night, guest->name, error);
	(void) snprintf (report.domain, sizeof report.domain, "%s", guest->name);
	(void) snprintf (report.uuid, sizeof report.uuid, "%s", guest->uuid);
	if (!night->options->dry_run && vmc_aftermath (&report, night->options, 0, &why) < 0)
		complain (night, "", &why);
}

/* Is there something to say on the terminal? */
static bool is_told (const struct vmc_options *options)
{
	return !options->json && !options->quiet && (options->verbose || isatty (STDOUT_FILENO));
}

/* --- list ------------------------------------------------------------------------------------- */

static bool is_excluded (const struct vmc_options *options, const char *name)
{
	for (size_t i = 0; i < options->exclude_count; i++)
		if (fnmatch (options->excludes[i], name, 0) == 0)
			return true;
	return false;
}

/* When it may be compacted: in its own time, if it has one, and never beyond the end of the night. */
static void set_times (const struct night *night, const struct vmc_nightly *nightly, struct vmc_task *task)
{
	int64_t now_s = time (NULL);

	task->closes_s = night->closes_s;
	if (nightly->from_minutes < 0)
		return;
	vmc_schedule_window (now_s, nightly->from_minutes, nightly->until_minutes, &task->opens_s, &task->closes_s);
	if (night->closes_s != 0 && night->closes_s < task->closes_s)
		task->closes_s = night->closes_s;
	if (task->opens_s > now_s + WAIT_MAX_S)
		task->state = VMC_TASK_LATE;
}

/* -1: its metadata make no sense; 0: it is left out. */
static int take_guest (struct night *night, virDomainPtr domain, struct vmc_error *err)
{
	struct guest *guest = &night->guests[night->count];
	const char *name = virDomainGetName (domain);

	if (is_excluded (night->options, name))
		return 0;
	memset (guest, 0, sizeof *guest);
	guest->process = (struct vmc_process) VMC_PROCESS_INIT;
	vmc_text_escape (guest->name, sizeof guest->name, name);
	if (virDomainGetUUIDString (domain, guest->uuid) < 0 || vmc_nightly_read (domain, &guest->nightly, err) < 0)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN ? 0 : -1; /* it is gone since the list was made */
	if (guest->nightly.skip)
		return 0;
	set_times (night, &guest->nightly, &night->tasks[night->count]);
	night->count++;
	return 0;
}

static int list_guests (struct night *night, struct vmc_error *err)
{
	unsigned flags = (night->options->running ? VIR_CONNECT_LIST_DOMAINS_ACTIVE : 0) |
			 (night->options->inactive ? VIR_CONNECT_LIST_DOMAINS_INACTIVE : 0);
	virDomainPtr *domains = NULL;
	int count = VMC_LIBVIRT (virConnectListAllDomains (night->connection->handle, &domains, flags));

	if (count < 0)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot list the domains");
	night->guests = calloc ((size_t) count + 1, sizeof *night->guests);
	night->tasks = calloc ((size_t) count + 1, sizeof *night->tasks);
	for (int i = 0; i < count; i++) {
		struct vmc_error why;

		if (night->guests != NULL && night->tasks != NULL && take_guest (night, domains[i], &why) < 0)
			give_up (night, &night->guests[night->count], &why); /* and the next one takes its place */
		(void) virDomainFree (domains[i]);
	}
	free (domains);
	return night->guests != NULL && night->tasks != NULL ? 0 : vmc_fail (err, VMC_FAILED, ENOMEM, "no memory");
}

/* --- away from home --------------------------------------------------------------------------- */

static bool is_listed (const struct night *night, const char *uuid)
{
	for (size_t i = 0; i < night->count; i++)
		if (strcmp (night->guests[i].uuid, uuid) == 0)
			return true;
	return false;
}

static bool is_at_work (const char *uuid)
{
	struct vmc_error error;
	int lock = vmc_lock_domain (uuid, KEEPER_MS, &error);

	if (lock >= 0)
		(void) close (lock);
	return lock < 0 && error.code == VMC_BUSY;
}

static int make_room (struct night *night, struct vmc_error *err)
{
	struct guest *guests = realloc (night->guests, (night->count + 1) * sizeof *guests);
	struct vmc_task *tasks;

	night->guests = guests ? guests : night->guests;
	tasks = realloc (night->tasks, (night->count + 1) * sizeof *tasks);
	night->tasks = tasks ? tasks : night->tasks;
	return guests != NULL && tasks != NULL ? 0 : vmc_fail (err, VMC_FAILED, ENOMEM, "no memory");
}

/* No call to libvirt, which might not return. Where its images lie is not known, so it is at work alone. */
static int add_stranded (void *opaque, const char *uuid, struct vmc_error *err)
{
	struct night *night = opaque;
	struct vmc_journal journal;
	struct vmc_error unheard;
	struct guest *guest;

	if (is_listed (night, uuid) || is_at_work (uuid))
		return 0;
	if (make_room (night, err) < 0)
		return -1;
	guest = &night->guests[night->count];
	*guest = (struct guest) {.process = VMC_PROCESS_INIT};
	(void) snprintf (guest->uuid, sizeof guest->uuid, "%s", uuid);
	(void) snprintf (guest->name, sizeof guest->name, "%s",
			 vmc_journal_read (uuid, &journal, &unheard) == 1 ? journal.name : uuid);
	vmc_journal_clear (&journal);
	night->tasks[night->count++] = (struct vmc_task) {.stranded = true, .left_out = true, .alone = true};
	return 0;
}

/* An overlay grows until its domain is home, whoever was to be left out. */
static void list_stranded (struct night *night)
{
	struct vmc_error error;

	if (!vmc_connection_local (night->connection)) /* the journals are those of this host */
		return;
	if (vmc_journal_list (add_stranded, night, &error) < 0)
		complain (night, "", &error);
}

/* --- one run ---------------------------------------------------------------------------------- */

/* The arguments of a run on one guest: what is asked for, said anew, and no configuration file beside it. */
struct arguments {
	const char *words[ARGUMENTS_MAX];
	size_t count;
	char texts[ARGUMENTS_MAX][ARGUMENT_SIZE];
	size_t used;
};

static void add_word (struct arguments *arguments, const char *word)
{
	arguments->words[arguments->count++] = word;
}

static void add_if (struct arguments *arguments, bool wanted, const char *word)
{
	if (wanted)
		add_word (arguments, word);
}

static void __attribute__ ((format (printf, 2, 3))) add (struct arguments *arguments, const char *format, ...)
{
	char *text = arguments->texts[arguments->used++];
	va_list values;

	va_start (values, format);
	(void) vsnprintf (text, ARGUMENT_SIZE, format, values);
	va_end (values);
	add_word (arguments, text);
}

/* An option with a text of any length. */
static void add_text (struct arguments *arguments, const char *option, const char *text)
{
	if (text == NULL)
		return;
	add_word (arguments, option);
	add_word (arguments, text);
}

static void add_method (struct arguments *arguments, const struct vmc_options *options, const struct guest *guest)
{
	const struct vmc_rewrite_wish *wish = &options->wish;

	add (arguments, "--method=%s",
	     vmc_method_choice_name (guest->nightly.method_known ? guest->nightly.method : options->method));
	if (guest->nightly.method_known) /* what only a convert can do is not asked of another method */
		return;
	add_if (arguments, wish->compress, "--compress");
	add_if (arguments, options->keep_old, "--keep-old");
	add_if (arguments, options->zero, "--zero");
	add_text (arguments, "--format", wish->format);
	if (wish->cluster_bytes != 0)
		add (arguments, "--cluster-size=%llu", (unsigned long long) wish->cluster_bytes);
}

static void add_limits (struct arguments *arguments, const struct vmc_options *options, const struct guest *guest)
{
	if (options->timeout_ms != 0)
		add (arguments, "--timeout=%llu.%03llu", (unsigned long long) options->timeout_ms / 1000,
		     (unsigned long long) options->timeout_ms % 1000);
	add (arguments, "--freeze-timeout=%u.%03u", options->freeze_timeout_ms / 1000,
	     options->freeze_timeout_ms % 1000);
	add (arguments, "--lock-wait=%u.%03u", options->lock_wait_ms / 1000, options->lock_wait_ms % 1000);
	add (arguments, "--min-reclaim=%llu",
	     (unsigned long long) (guest->nightly.min_reclaim_known ? guest->nightly.min_reclaim_bytes
								    : options->min_reclaim_bytes));
	if (options->wish.bandwidth_bytes_per_s != 0)
		add (arguments, "--bandwidth=%llu", (unsigned long long) options->wish.bandwidth_bytes_per_s >> 20);
}

static void add_program (struct arguments *arguments, const struct vmc_options *options)
{
	memset (arguments, 0, sizeof *arguments);
	add_word (arguments, "/proc/self/exe");
	add_word (arguments, "--config=/dev/null");
	add_text (arguments, "--connect", options->uri);
}

/* It is only to be brought home. */
static void prepare_way_home (struct arguments *arguments, const struct night *night, const struct guest *guest)
{
	const struct vmc_options *options = night->options;

	add_program (arguments, options);
	add_word (arguments, "--recover");
	add_if (arguments, options->json, "--json");
	add_if (arguments, options->quiet, "--quiet");
	add_if (arguments, options->verbose, "--verbose");
	add_word (arguments, "--");
	add_word (arguments, guest->uuid);
}

static void prepare (struct arguments *arguments, const struct night *night, const struct guest *guest, bool survey)
{
	const struct vmc_options *options = night->options;
	static const char *const when[] = {"--progress=auto", "--progress=always", "--progress=never"};

	add_program (arguments, options);
	add_method (arguments, options, guest);
	add_limits (arguments, options, guest);
	add_text (arguments, "--overlay-dir", options->overlay_dir);
	add_text (arguments, "--metrics-dir", options->metrics_dir);
	add_text (arguments, "--on-failure", options->on_failure);
	add_if (arguments, survey || options->dry_run, "--dry-run");
	add_if (arguments, survey || options->json, "--json");
	add_if (arguments, options->quiet, "--quiet");
	add_if (arguments, options->verbose && !survey, "--verbose");
	add_word (arguments, when[survey || options->jobs > 1 ? VMC_PROGRESS_NEVER : options->progress]);
	add_word (arguments, "--");
	add_word (arguments, guest->uuid);
}

/* --- survey ----------------------------------------------------------------------------------- */

static void survey_guests (struct night *night)
{
	struct arguments arguments;

	for (size_t i = 0; i < night->count && !vmc_interrupted (); i++) {
		VMC_CLEANUP_HISTORY struct vmc_history history = {0};
		struct vmc_task *task = &night->tasks[i];
		uint64_t copied_bytes;

		if (task->left_out)
			continue;
		prepare (&arguments, night, &night->guests[i], true);
		vmc_survey (arguments.words, task, &copied_bytes);
		vmc_history_read (night->guests[i].uuid, &history);
		task->expected_ms = vmc_schedule_expect (history.runs_ms, VMC_HISTORY_RUNS, copied_bytes);
		if (task->stranded) /* also one whose own time comes too late */
			task->state = VMC_TASK_WAITING;
	}
}

/* --- night ------------------------------------------------------------------------------------ */

/* Everybody else on the host goes first. */
static void step_back (void)
{
	long priority = syscall (SYS_ioprio_get, 1, 0);

	if (priority >= 0 && IO_CLASS (priority) == 0)
		(void) syscall (SYS_ioprio_set, 1, 0, IO_LOWEST);
	if (getpriority (PRIO_PROCESS, 0) < 10)
		(void) setpriority (PRIO_PROCESS, 0, 10);
}

/* A host has its own work to do. */
static unsigned jobs_at_once (const struct night *night)
{
	long processors = sysconf (_SC_NPROCESSORS_ONLN);
	unsigned most = processors > 1 ? (unsigned) processors : 1;

	return night->options->jobs < most ? night->options->jobs : most;
}

/* libvirt says that it knows no such domain. */
static bool is_gone (const struct night *night, const char *uuid)
{
	virDomainPtr domain = VMC_LIBVIRT (virDomainLookupByUUIDString (night->connection->handle, uuid));

	if (domain == NULL)
		return virGetLastErrorCode () == VIR_ERR_NO_DOMAIN;
	(void) virDomainFree (domain);
	return false;
}

static void begin (struct night *night, size_t i)
{
	struct guest *guest = &night->guests[i];
	struct arguments arguments;
	struct vmc_error why;

	if (!night->tasks[i].left_out && is_gone (night, guest->uuid)) { /* since the list was made */
		night->tasks[i].state = VMC_TASK_GONE;
		return;
	}
	if (night->tasks[i].home_only)
		prepare_way_home (&arguments, night, guest);
	else
		prepare (&arguments, night, guest, false);
	guest->began_s = (uint64_t) time (NULL);
	night->tasks[i].state = VMC_TASK_RUNNING;
	if (vmc_process_start_run (&guest->process, arguments.words, &why) == 0)
		return;
	give_up (night, guest, &why);
	night->tasks[i].state = VMC_TASK_DONE;
}

/* What the run brought, by its history. */
static uint64_t reclaimed_bytes (const struct guest *guest)
{
	VMC_CLEANUP_HISTORY struct vmc_history history = {0};
	uint64_t total = 0;

	vmc_history_read (guest->uuid, &history);
	for (size_t i = 0; i < history.count; i++)
		if (history.disks[i].time_s >= guest->began_s && history.disks[i].reclaimed_bytes != VMC_UNKNOWN)
			total += history.disks[i].reclaimed_bytes;
	return total;
}

/* A run that did not end by itself may have left its domain away from home. */
static void note_end (struct night *night, size_t i, int status)
{
	struct guest *guest = &night->guests[i];
	struct vmc_error error;

	night->tasks[i].state = VMC_TASK_DONE;
	guest->exit_status = status;
	if (status < 0 || status > vmc_code_exit_status (VMC_BUSY)) {
		(void) vmc_fail (&error, VMC_INTERRUPTED, 0, "its run ended with %s %d; run vmcompact --recover",
				 status < 0 ? "signal" : "status", status < 0 ? -status : status);
		give_up (night, guest, &error);
	}
	night->worst = vmc_worse_status (night->worst, guest->exit_status);
	if (!night->options->dry_run)
		night->reclaimed_bytes += reclaimed_bytes (guest);
}

/* How many runs are at work, when those that have ended are counted out. */
static unsigned reap (struct night *night)
{
	unsigned running = 0;
	int status;

	for (size_t i = 0; i < night->count; i++) {
		if (night->tasks[i].state != VMC_TASK_RUNNING)
			continue;
		if (vmc_process_reap (&night->guests[i].process, &status))
			note_end (night, i, status);
		else
			running++;
	}
	return running;
}

static void pass_on_interrupt (struct night *night)
{
	if (night->told)
		return;
	night->told = true;
	for (size_t i = 0; i < night->count; i++)
		if (night->tasks[i].state == VMC_TASK_RUNNING)
			(void) kill (night->guests[i].process.pid, SIGTERM);
}

static void run_night (struct night *night)
{
	unsigned jobs = jobs_at_once (night);
	int64_t wake_s;

	for (;;) {
		unsigned running = reap (night);
		int next = -1;

		wake_s = 0;
		if (vmc_interrupted ())
			pass_on_interrupt (night);
		else
			next = vmc_schedule_next (night->tasks, night->count, time (NULL), jobs, &wake_s);
		if (next >= 0) {
			begin (night, (size_t) next);
			continue;
		}
		if (running == 0 && wake_s == 0)
			return;
		(void) poll (NULL, 0, LOOK_MS);
	}
}

/* --- end -------------------------------------------------------------------------------------- */

static void print_summary (const struct night *night)
{
	size_t count = night->count, done = 0, failed = 0, late = 0;
	uint64_t took_s = (vmc_now_ms () - night->began_ms + 500) / 1000;
	char size[16];

	if (!is_told (night->options))
		return;
	for (size_t i = 0; i < night->count; i++) {
		done += night->tasks[i].state == VMC_TASK_DONE && night->guests[i].exit_status == 0;
		failed += night->tasks[i].state == VMC_TASK_DONE && night->guests[i].exit_status != 0;
		late += night->tasks[i].state == VMC_TASK_LATE;
		count -= night->tasks[i].state == VMC_TASK_GONE;
		if (night->tasks[i].state == VMC_TASK_LATE)
			(void) printf ("%s\n      left for another time, because %s\n", night->guests[i].name,
				       night->tasks[i].opens_s > time (NULL) ? "its own time comes later"
									     : "it would not have ended in time");
	}
	(void) printf ("%zu domains: %zu done, %zu failed, %zu left for another time, %zu not begun; %s reclaimed in "
		       "%llu:%02llu\n",
		       count, done, failed, late, count - done - failed - late,
		       vmc_text_size (size, night->reclaimed_bytes), (unsigned long long) took_s / 60,
		       (unsigned long long) took_s % 60);
}

/* Domains that have been undefined for long need no history any more. */
static void forget_gone (void *opaque, const struct vmc_history *history)
{
	const struct night *night = opaque;

	for (size_t i = 0; i < history->count; i++)
		if (history->disks[i].time_s + FORGET_S > (uint64_t) time (NULL))
			return;
	if (is_gone (night, history->uuid))
		vmc_history_forget (history->uuid);
}

static void keep_books (struct night *night)
{
	struct vmc_error error;

	if (night->options->dry_run || vmc_interrupted ())
		return;
	if (vmc_history_list (forget_gone, night, &error) < 0 || vmc_history_note_all (night->worst, &error) < 0)
		complain (night, "", &error);
	if (night->options->metrics_dir != NULL && vmc_metrics_write (night->options->metrics_dir, &error) < 0)
		complain (night, "", &error);
}

static void end_night (struct night *night)
{
	struct vmc_error error;

	if (vmc_interrupt_check (&error) < 0)
		complain (night, "", &error);
	keep_books (night);
	print_summary (night);
	(void) fflush (stdout);
	free (night->guests);
	free (night->tasks);
}

int vmc_all (struct vmc_connection *connection, const struct vmc_options *options)
{
	struct night night = {.connection = connection, .options = options, .began_ms = vmc_now_ms ()};
	struct vmc_error error;
	int lock = vmc_lock_all (options->lock_wait_ms, &error);

	if (lock < 0) {
		complain (&night, "", &error);
		return night.worst;
	}
	step_back ();
	if (options->until_minutes >= 0)
		night.closes_s = vmc_schedule_at (time (NULL), options->until_minutes);
	if (list_guests (&night, &error) < 0) {
		complain (&night, "", &error);
	} else {
		if (!options->dry_run) {
			list_stranded (&night);
			survey_guests (&night);
		}
		run_night (&night);
	}
	end_night (&night);
	(void) close (lock);
	return night.worst;
}
