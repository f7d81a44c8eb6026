/* doctor.c - see doctor.h
 *
 * The facts of a run are gathered, and nothing is done: diagnose.c names the layers, plan.c says of each method whether it would be
 * used. What only this host knows, its security modules and what an earlier run has left, is added here.
 */
#include "doctor.h"

#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "diagnose.h"
#include "json_member.h"
#include "lock.h"
#include "look.h"
#include "nightly.h"
#include "plan.h"
#include "recover.h"
#include "report.h"
#include "text.h"

#define WORD_SIZE 512

/* One disk, and by which methods it can be compacted. */
struct verdict {
	char target[VMC_NAME_SIZE];
	char why_not[VMC_METHOD_CONVERT + 1][VMC_TEXT_SIZE]; /* by method; empty: it can */
};

struct visit {
	const struct vmc_options *options;
	struct vmc_run run;
	char guest[WORD_SIZE]; /* its name, as a word for the shell */
	struct vmc_findings findings;
	struct vmc_report report; /* of the disks; only sizes */
	struct verdict verdicts[VMC_OPTION_DISKS_MAX];
	size_t verdict_count;
};

/* --- gathering -------------------------------------------------------------------------------- */

static bool file_says (const char *path, char wanted)
{
	FILE *file = fopen (path, "re");
	int first = file ? fgetc (file) : EOF;

	if (file != NULL)
		(void) fclose (file);
	return first == wanted;
}

/* QEMU opens the overlay and, after a convert, the new image under the rules of these. */
static void look_at_security (struct visit *visit)
{
	if (file_says ("/sys/module/apparmor/parameters/enabled", 'Y'))
		vmc_findings_add (&visit->findings, VMC_FINDING_NOTE, "AppArmor",
				  "it is on; libvirt allows QEMU what a run needs. Denials, if a run fails with EACCES "
				  "or EPERM",
				  "journalctl -k -g 'apparmor=\"DENIED\"'");
	if (file_says ("/sys/fs/selinux/enforce", '1'))
		vmc_findings_add (&visit->findings, VMC_FINDING_NOTE, "SELinux",
				  "it is enforcing; libvirt labels what a run needs. Denials, if a run fails with "
				  "EACCES or "
				  "EPERM",
				  "ausearch -m avc -ts recent");
}

static void look_at_label (struct visit *visit, const char *path)
{
	char label[256], directory[VMC_PATH_SIZE], word[VMC_TEXT_SIZE / 4], pattern[VMC_PATH_SIZE + 8],
		words[VMC_TEXT_SIZE / 4];
	ssize_t length;

	if (!file_says ("/sys/fs/selinux/enforce", '1'))
		return;
	vmc_image_directory (path, directory);
	(void) snprintf (pattern, sizeof pattern, "%s(/.*)?", directory);
	length = getxattr (directory, "security.selinux", label, sizeof label - 1);
	label[length > 0 ? length : 0] = 0;
	if (strstr (label, "virt_image_t") == NULL)
		vmc_findings_addf (&visit->findings, VMC_FINDING_NOTE, "SELinux",
				   "the directory of the image has no label for images, so QEMU may be denied the "
				   "overlay",
				   "semanage fcontext -a -t virt_image_t %s && restorecon -Rv %s",
				   vmc_text_quote (words, sizeof words, pattern),
				   vmc_text_quote (word, sizeof word, directory));
}

static int look_at_earlier_run (struct visit *visit, struct vmc_error *err)
{
	int pending = vmc_recover_pending (&visit->run.domain, err);

	if (pending > 0)
		vmc_findings_addf (&visit->findings, VMC_FINDING_STOP, "domain", "an earlier run was interrupted",
				   "vmcompact --recover %s", visit->guest);
	return pending < 0 ? -1 : 0;
}

static void look_at_metadata (struct visit *visit)
{
	struct vmc_nightly nightly;
	struct vmc_error why;

	if (vmc_nightly_read (visit->run.domain.handle, &nightly, &why) < 0)
		vmc_findings_addf (&visit->findings, VMC_FINDING_STOP, "metadata", why.text,
				   "virsh metadata %s --uri " VMC_NIGHTLY_URI, visit->guest);
	else if (nightly.skip)
		vmc_findings_addf (&visit->findings, VMC_FINDING_NOTE, "metadata",
				   "they leave it out of vmcompact --all",
				   "virsh metadata %s --uri " VMC_NIGHTLY_URI " --remove --config%s", visit->guest,
				   visit->report.active ? " --live" : "");
}

static void judge (struct visit *visit, const struct vmc_disk_facts *facts)
{
	struct verdict *verdict = &visit->verdicts[visit->verdict_count++];
	struct vmc_plan plan;
	struct vmc_error why;

	memcpy (verdict->target, facts->disk->target, sizeof verdict->target);
	for (enum vmc_method_choice method = VMC_METHOD_TRIM; method <= VMC_METHOD_CONVERT; method++)
		if (vmc_plan_disk (facts, method, &plan, &why) < 0)
			vmc_text_escape (verdict->why_not[method], sizeof verdict->why_not[method], why.text);
	if (facts->disk->discard[0] == 0 && verdict->why_not[VMC_METHOD_TRIM][0] == 0)
		(void) snprintf (verdict->why_not[VMC_METHOD_TRIM], sizeof verdict->why_not[VMC_METHOD_TRIM],
				 "the disk has no discard='unmap'");
}

static int look_at_disk (struct visit *visit, const struct vmc_disk *disk, struct vmc_error *err)
{
	VMC_CLEANUP_LOOK struct vmc_look look = {0};
	struct vmc_disk_report *report = vmc_report_add (&visit->report, disk);

	if (report == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "no memory");
	if (vmc_look (&visit->run, disk, &look, report, err) < 0)
		return -1;
	look.facts.why_wanted = "asked for";
	if (disk->path[0] != 0)
		look_at_label (visit, disk->path);
	vmc_diagnose_disk (&look.facts, visit->guest, &visit->findings);
	judge (visit, &look.facts);
	return 0;
}

static int look_at_disks (struct visit *visit, struct vmc_error *err)
{
	const struct vmc_disks *disks = &visit->run.disks;

	for (size_t i = 0; i < disks->count && visit->verdict_count < VMC_OPTION_DISKS_MAX; i++)
		if (strcmp (disks->items[i].device, "disk") == 0 && look_at_disk (visit, &disks->items[i], err) < 0)
			return -1;
	return 0;
}

static int examine (struct visit *visit, struct vmc_error *err)
{
	struct vmc_run *run = &visit->run;
	struct vmc_domain_facts facts = {0};

	if (look_at_earlier_run (visit, err) < 0 || vmc_domain_disks (&run->domain, &run->disks, err) < 0 ||
	    vmc_domain_facts (&run->domain, &facts, err) < 0)
		return -1;
	visit->report.active = facts.active;
	if (facts.active && facts.local)
		vmc_look_for_agent (run);
	facts.agent = run->agent != NULL;
	facts.qemu_agent = run->disks.qemu_channel_connected;
	memcpy (facts.why_no_agent, run->why_no_agent, sizeof facts.why_no_agent);
	vmc_diagnose_domain (&facts, &run->disks, visit->guest, &visit->findings);
	look_at_metadata (visit);
	look_at_security (visit);
	return facts.local && facts.active ? look_at_disks (visit, err) : 0;
}

/* --- telling ---------------------------------------------------------------------------------- */

static void print_table (const struct visit *visit)
{
	(void) printf ("%s (%s)\n", visit->run.domain.name, visit->report.active ? "running" : "off");
	for (size_t i = 0; i < visit->findings.count; i++) {
		const struct vmc_finding *finding = &visit->findings.items[i];

		(void) printf ("  %-4s  %s: %s\n", vmc_finding_level_name (finding->level), finding->where,
			       finding->text);
		if (finding->command[0] != 0)
			(void) printf ("        > %s\n", finding->command);
	}
	for (size_t i = 0; i < visit->verdict_count; i++)
		for (enum vmc_method_choice method = VMC_METHOD_TRIM; method <= VMC_METHOD_CONVERT; method++) {
			const char *why_not = visit->verdicts[i].why_not[method];

			(void) printf ("  %-4s  %s %s%s%s\n", why_not[0] ? "no" : "yes", visit->verdicts[i].target,
				       vmc_method_choice_name (method), why_not[0] ? ": " : "", why_not);
		}
}

static struct json_object *finding_json (const struct vmc_finding *finding)
{
	struct json_object *object = json_object_new_object ();

	vmc_json_text (object, "level", vmc_finding_level_name (finding->level));
	vmc_json_text (object, "where", finding->where);
	vmc_json_text (object, "text", finding->text);
	vmc_json_text (object, "command", finding->command[0] ? finding->command : NULL);
	return object;
}

static struct json_object *verdict_json (const struct verdict *verdict)
{
	struct json_object *object = json_object_new_object ();

	vmc_json_text (object, "target", verdict->target);
	for (enum vmc_method_choice method = VMC_METHOD_TRIM; method <= VMC_METHOD_CONVERT; method++)
		vmc_json_text (object, vmc_method_choice_name (method),
			       verdict->why_not[method][0] ? verdict->why_not[method] : "yes");
	return object;
}

static void print_json (const struct visit *visit)
{
	struct json_object *object = json_object_new_object (), *findings = json_object_new_array (),
			   *disks = json_object_new_array ();

	vmc_json_text (object, "domain", visit->run.domain.name);
	vmc_json_text (object, "uuid", visit->run.domain.uuid);
	vmc_json_text (object, "state", visit->report.active ? "running" : "off");
	for (size_t i = 0; i < visit->findings.count; i++)
		(void) json_object_array_add (findings, finding_json (&visit->findings.items[i]));
	for (size_t i = 0; i < visit->verdict_count; i++)
		(void) json_object_array_add (disks, verdict_json (&visit->verdicts[i]));
	(void) json_object_object_add (object, "findings", findings);
	(void) json_object_object_add (object, "disks", disks);
	(void) puts (json_object_to_json_string_ext (object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put (object);
}

/* Can every disk be compacted by some method? */
static int exit_status (const struct visit *visit)
{
	for (size_t i = 0; i < visit->verdict_count; i++) {
		const struct verdict *verdict = &visit->verdicts[i];

		if (verdict->why_not[VMC_METHOD_TRIM][0] != 0 && verdict->why_not[VMC_METHOD_COMMIT][0] != 0 &&
		    verdict->why_not[VMC_METHOD_CONVERT][0] != 0)
			return vmc_code_exit_status (VMC_REFUSED);
	}
	for (size_t i = 0; visit->verdict_count == 0 && i < visit->findings.count; i++)
		if (visit->findings.items[i].level == VMC_FINDING_STOP)
			return vmc_code_exit_status (VMC_REFUSED);
	return 0;
}

/* --- one domain ------------------------------------------------------------------------------- */

static int see (struct vmc_connection *connection, const char *name, struct visit *visit, struct vmc_error *err)
{
	struct vmc_domain *domain = &visit->run.domain;
	int lock, result;

	if (vmc_domain_find (connection, name, domain, err) < 0)
		return -1;
	(void) vmc_text_quote (visit->guest, sizeof visit->guest, virDomainGetName (domain->handle));
	lock = vmc_lock_domain (domain->uuid, visit->options->lock_wait_ms, err);
	if (lock < 0)
		return -1;
	result = examine (visit, err);
	vmc_run_drop_agent (&visit->run);
	(void) close (lock);
	return result;
}

static int visit_domain (struct vmc_connection *connection, const struct vmc_options *options, const char *name,
			 struct visit *visit)
{
	struct vmc_error error;
	int status;

	visit->options = options;
	visit->run = (struct vmc_run) {.options = options, .deadline_ms = UINT64_MAX};
	if (see (connection, name, visit, &error) < 0) {
		(void) fprintf (stderr, "vmcompact: %s: %s\n", visit->run.domain.name, error.text);
		status = vmc_code_exit_status (error.code);
	} else {
		(options->json ? print_json : print_table) (visit);
		status = exit_status (visit);
	}
	vmc_disks_clear (&visit->run.disks);
	vmc_domain_clear (&visit->run.domain);
	vmc_report_clear (&visit->report);
	return status;
}

int vmc_doctor (struct vmc_connection *connection, const struct vmc_options *options)
{
	static struct visit visit; /* too large for a stack */
	int worst = 0;

	for (size_t i = 0; i < options->domain_count && !vmc_interrupted (); i++) {
		memset (&visit, 0, sizeof visit);
		worst = vmc_worse_status (worst, visit_domain (connection, options, options->domains[i], &visit));
	}
	return fflush (stdout) == 0 ? worst : vmc_worse_status (worst, vmc_code_exit_status (VMC_FAILED));
}
