/* fields.h - between C structures and JSON objects, driven by one table per structure
 *
 * The same table encodes on one side and decodes on the other. Decoding is strict: an unknown key, a missing key, a
 * wrong type, a negative or too large number, a text that does not fit or is not printable ASCII, a list that is
 * too long, all are VMC_PROTOCOL errors that name the key.
 */
#ifndef VMC_FIELDS_H
#define VMC_FIELDS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "extent.h"

enum vmc_field_type {
	VMC_FIELD_NUMBER, /* uint64_t below INT64_MAX */
	VMC_FIELD_BOOL,   /* bool */
	VMC_FIELD_TEXT,   /* char[max], always ended by a zero */
	VMC_FIELD_LIST,   /* struct vmc_list of at most max elements */
	VMC_FIELD_RANGES, /* struct vmc_extents of at most max ranges, as [[start, length], ...] */
};

struct vmc_field {
	const char *key; /* NULL in a table of one: the value stands for itself, without an object around it */
	enum vmc_field_type type;
	size_t offset; /* of the member in its structure */
	size_t max;
	const struct vmc_field *element; /* VMC_FIELD_LIST: the table of an element */
	size_t element_size;
};

/* Elements are structures that belong to the list; vmc_fields_clear frees them. */
struct vmc_list {
	void *items;
	size_t count;
};

/* An element of a list of names; its table has one field without a key. */
struct vmc_name {
	char name[VMC_NAME_SIZE];
};
extern const struct vmc_field vmc_name_fields[];

/* Is NAME among NAMES (struct vmc_name)? */
bool vmc_names_have (const struct vmc_list *names, const char *name) __attribute__ ((nonnull, pure));

#define VMC_NUMBER(type, member) \
	{ \
#member, VMC_FIELD_NUMBER, offsetof(type, member), 0, NULL, 0 \
	}
#define VMC_BOOL(type, member) \
	{ \
#member, VMC_FIELD_BOOL, offsetof(type, member), 0, NULL, 0 \
	}
#define VMC_TEXT(type, member) \
	{ \
#member, VMC_FIELD_TEXT, offsetof(type, member), sizeof((type *) NULL)->member, NULL, 0 \
	}
#define VMC_LIST(type, member, max, table, element_type) \
	{ \
#member, VMC_FIELD_LIST, offsetof(type, member), max, table, sizeof(element_type) \
	}
#define VMC_RANGES(type, member, max) \
	{ \
#member, VMC_FIELD_RANGES, offsetof(type, member), max, NULL, 0 \
	}
#define VMC_FIELDS_END \
	{ \
		NULL, VMC_FIELD_NUMBER, 0, 0, NULL, 0 \
	}

/* Fill STRUCTURE (all zero before) from OBJECT. On failure it is left for vmc_fields_clear. */
int vmc_fields_decode (const struct vmc_field *table, struct json_object *object, void *structure,
		       struct vmc_error *err) __attribute__ ((nonnull (1, 3, 4), warn_unused_result));

/* A new object for STRUCTURE, owned by the caller; NULL when memory runs out. */
struct json_object *vmc_fields_encode (const struct vmc_field *table, const void *structure)
	__attribute__ ((nonnull, warn_unused_result));

/* Free what the lists in STRUCTURE own, and make it all empty. */
void vmc_fields_clear (const struct vmc_field *table, void *structure) __attribute__ ((nonnull));

/* Copy TEXT into TO (SIZE bytes), cut to fit, with everything but printable ASCII as \xNN: what can be sent. */
void vmc_text_copy (char *to, size_t size, const char *text) __attribute__ ((nonnull));

/* The same for a TEXT that the other side has sent, who should have done this already: backslashes stay as they are. */
void vmc_text_take (char *to, size_t size, const char *text) __attribute__ ((nonnull));

#endif
