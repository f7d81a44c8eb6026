/* qmp.c - see qmp.h */
#include "qmp.h"

#include <errno.h>
#include <json-c/json.h>
#include <libvirt/libvirt-qemu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define ANSWER_MAX_BYTES (16 << 20)

static void put_object (struct json_object **object)
{
	json_object_put (*object);
}
#define CLEANUP_OBJECT __attribute__ ((cleanup (put_object)))

static const char *text_of (struct json_object *object, const char *key)
{
	struct json_object *member;

	return json_object_object_get_ex (object, key, &member) ? json_object_get_string (member) : NULL;
}

static bool text_is (struct json_object *object, const char *key, const char *wanted)
{
	const char *text = text_of (object, key);

	return text != NULL && strcmp (text, wanted) == 0;
}

/* Does NODE lie over the file PATH? QEMU gives a plain name, or, for what no plain name can say, "json:" with the file inside. */
static bool lies_over (struct json_object *node, const char *path)
{
	const char *name = text_of (node, "file");
	CLEANUP_OBJECT struct json_object *object = NULL;
	struct json_object *file;

	if (name == NULL || strncmp (name, "json:", 5) != 0)
		return name != NULL && strcmp (name, path) == 0;
	object = json_tokener_parse (name + 5);
	return object != NULL &&
	       (text_is (object, "filename", path) || text_is (object, "file.filename", path) ||
		(json_object_object_get_ex (object, "file", &file) && text_is (file, "filename", path)));
}

static void copy_name (char *name, struct json_object *node)
{
	const char *text = text_of (node, "node-name");

	(void) snprintf (name, VMC_NAME_SIZE, "%s", text ? text : "");
}

static int fail_answer (struct json_object *answer, const char *command, struct vmc_error *err)
{
	struct json_object *error;
	const char *said = NULL;
	char text[300];

	if (answer != NULL && json_object_object_get_ex (answer, "error", &error))
		said = text_of (error, "desc");
	vmc_text_escape (text, sizeof text, said ? said : "an answer that is not understood");
	return vmc_fail (err, VMC_FAILED, 0, "QEMU to '%s': %s", command, text);
}

/* Run COMMAND with ARGUMENTS (taken over; NULL: none); the "return" of the answer, to be released, or NULL with ERR. */
static struct json_object *ask (const struct vmc_domain *domain, const char *command, struct json_object *arguments,
				struct vmc_error *err)
{
	CLEANUP_OBJECT struct json_object *request = json_object_new_object ();
	CLEANUP_OBJECT struct json_object *answer = NULL;
	struct json_object *result = NULL;
	char *text = NULL;

	json_object_object_add (request, "execute", json_object_new_string (command));
	if (arguments != NULL)
		json_object_object_add (request, "arguments", arguments);
	if (VMC_LIBVIRT (virDomainQemuMonitorCommand (domain->handle, json_object_to_json_string (request), &text, 0)) <
	    0) {
		(void) vmc_fail_libvirt (err, VMC_FAILED, "cannot ask QEMU");
		return NULL;
	}
	if (strlen (text) < ANSWER_MAX_BYTES)
		answer = json_tokener_parse (text);
	free (text);
	if (answer == NULL || !json_object_object_get_ex (answer, "return", &result)) {
		(void) fail_answer (answer, command, err);
		return NULL;
	}
	return json_object_get (result);
}

static struct json_object *ask_list (const struct vmc_domain *domain, const char *command, struct vmc_error *err)
{
	struct json_object *list = ask (domain, command, NULL, err);

	if (list == NULL || json_object_is_type (list, json_type_array))
		return list;
	json_object_put (list);
	(void) fail_answer (NULL, command, err);
	return NULL;
}

static int tell (const struct vmc_domain *domain, const char *command, struct json_object *arguments,
		 struct vmc_error *err)
{
	struct json_object *result = ask (domain, command, arguments, err);

	json_object_put (result);
	return result == NULL ? -1 : 0;
}

static struct json_object *one_text (const char *key, const char *value)
{
	struct json_object *object = json_object_new_object ();

	json_object_object_add (object, key, json_object_new_string (value));
	return object;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static bool is_format (struct json_object *node)
{
	return text_is (node, "drv", "qcow2") || text_is (node, "drv", "raw");
}

/* The node that lies over the file PATH: that of its format, or where QEMU was given none, the file's. */
static void find_node (struct json_object *nodes, const char *path, char *name)
{
	name[0] = 0;
	for (size_t i = 0; i < json_object_array_length (nodes); i++) {
		struct json_object *node = json_object_array_get_idx (nodes, i);

		if (lies_over (node, path) && (name[0] == 0 || is_format (node)))
			copy_name (name, node);
	}
}

int vmc_qmp_find_disk (const struct vmc_domain *domain, const char *overlay, const char *base,
		       struct vmc_qmp_disk *disk, struct vmc_error *err)
{
	CLEANUP_OBJECT struct json_object *nodes = ask_list (domain, "query-named-block-nodes", err);
	CLEANUP_OBJECT struct json_object *devices = nodes ? ask_list (domain, "query-block", err) : NULL;

	*disk = (struct vmc_qmp_disk) {0};
	if (devices == NULL)
		return -1;
	find_node (nodes, base, disk->base);
	for (size_t i = 0; i < json_object_array_length (devices); i++) {
		struct json_object *inserted;

		if (json_object_object_get_ex (json_object_array_get_idx (devices, i), "inserted", &inserted) &&
		    lies_over (inserted, overlay))
			copy_name (disk->top, inserted);
	}
	return 0;
}

/* A node goes only when nothing lies on it: the format's before the file's. */
int vmc_qmp_close (const struct vmc_domain *domain, const char *path, struct vmc_error *err)
{
	for (int layers = 0; layers < 4; layers++) {
		CLEANUP_OBJECT struct json_object *nodes = ask_list (domain, "query-named-block-nodes", err);
		char name[VMC_NAME_SIZE];

		if (nodes == NULL)
			return -1;
		find_node (nodes, path, name);
		if (name[0] == 0)
			return layers;
		if (tell (domain, "blockdev-del", one_text ("node-name", name), err) < 0)
			return -1;
	}
	return vmc_fail (err, VMC_FAILED, 0, "QEMU has '%s' open more than once", path);
}

/* --- the job ---------------------------------------------------------------------------------- */

int vmc_qmp_commit (const struct vmc_domain *domain, const char *job, const struct vmc_qmp_disk *disk,
		    struct vmc_error *err)
{
	struct json_object *arguments = one_text ("job-id", job);

	json_object_object_add (arguments, "device", json_object_new_string (disk->top));
	json_object_object_add (arguments, "top-node", json_object_new_string (disk->top));
	json_object_object_add (arguments, "base-node", json_object_new_string (disk->base));
	if (json_object_object_length (arguments) != 4) { /* without a base it would go down to the last file */
		json_object_put (arguments);
		return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for a request to QEMU");
	}
	return tell (domain, "block-commit", arguments, err);
}

int vmc_qmp_job (const struct vmc_domain *domain, const char *job, struct vmc_error *err)
{
	CLEANUP_OBJECT struct json_object *jobs = ask_list (domain, "query-block-jobs", err);

	if (jobs == NULL)
		return -1;
	for (size_t i = 0; i < json_object_array_length (jobs); i++) {
		struct json_object *one = json_object_array_get_idx (jobs, i), *ready;

		if (text_is (one, "device", job))
			return json_object_object_get_ex (one, "ready", &ready) && json_object_get_boolean (ready) ? 2
														   : 1;
	}
	return 0;
}

int vmc_qmp_complete (const struct vmc_domain *domain, const char *job, struct vmc_error *err)
{
	return tell (domain, "block-job-complete", one_text ("device", job), err);
}

int vmc_qmp_cancel (const struct vmc_domain *domain, const char *job, struct vmc_error *err)
{
	return tell (domain, "block-job-cancel", one_text ("device", job), err);
}
