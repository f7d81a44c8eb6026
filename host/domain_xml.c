/* domain_xml.c - see domain_xml.h */
#include "domain_xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

#define X(text) ((const xmlChar *) (text))

static void free_document (xmlDoc **document)
{
	if (*document != NULL)
		xmlFreeDoc (*document);
}
#define CLEANUP_DOCUMENT __attribute__ ((cleanup (free_document)))

static xmlDoc *parse (const char *xml)
{
	return xmlReadMemory (xml, (int) strlen (xml), "domain.xml", NULL,
			      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
}

void vmc_disks_clear (struct vmc_disks *disks)
{
	free (disks->items);
	*disks = (struct vmc_disks) {0};
}

const struct vmc_disk *vmc_disks_find (const struct vmc_disks *disks, const char *target)
{
	for (size_t i = 0; i < disks->count; i++)
		if (strcmp (disks->items[i].target, target) == 0)
			return &disks->items[i];
	return NULL;
}

/* --- reading ---------------------------------------------------------------------------------- */

static xmlNode *child (xmlNode *node, const char *name)
{
	for (xmlNode *one = node ? node->children : NULL; one != NULL; one = one->next)
		if (one->type == XML_ELEMENT_NODE && strcmp ((const char *) one->name, name) == 0)
			return one;
	return NULL;
}

/* False: it did not fit, and is not to be used cut. */
static bool attribute (xmlNode *node, const char *name, char *text, size_t size)
{
	xmlChar *value = node ? xmlGetProp (node, X (name)) : NULL;
	bool fits = true;

	text[0] = 0;
	if (value != NULL) {
		fits = snprintf (text, size, "%s", (const char *) value) < (int) size;
		xmlFree (value);
	}
	if (!fits)
		text[0] = 0;
	return fits;
}

static bool is (xmlNode *node, const char *name, const char *wanted)
{
	char text[VMC_NAME_SIZE];

	(void) attribute (node, name, text, sizeof text);
	return strcmp (text, wanted) == 0;
}

static unsigned number (xmlNode *node, const char *name)
{
	char text[VMC_NAME_SIZE];

	(void) attribute (node, name, text, sizeof text);
	return (unsigned) strtoul (text, NULL, 0);
}

/* The path behind a <source>, for the types that have one. */
static bool source_path (xmlNode *source, char *path)
{
	return attribute (source, "file", path, VMC_PATH_SIZE) &&
	       (path[0] != 0 || attribute (source, "dev", path, VMC_PATH_SIZE));
}

static void read_address (xmlNode *node, struct vmc_disk *disk)
{
	xmlNode *address = child (node, "address");

	if (is (address, "type", "pci"))
		(void) snprintf (disk->address, sizeof disk->address, "virtio %04x:%02x:%02x.%x",
				 number (address, "domain"), number (address, "bus"), number (address, "slot"),
				 number (address, "function"));
	else if (is (address, "type", "drive"))
		(void) snprintf (disk->address, sizeof disk->address, "scsi %u:%u:%u", number (address, "bus"),
				 number (address, "target"), number (address, "unit"));
}

static int read_chain (xmlNode *node, struct vmc_disk *disk, struct vmc_error *err)
{
	for (xmlNode *store = child (node, "backingStore"); store != NULL; store = child (store, "backingStore")) {
		xmlNode *source = child (store, "source");

		if (source == NULL)
			break;
		if (disk->backing_count == VMC_CHAIN_MAX)
			return vmc_fail (err, VMC_REFUSED, 0, "disk '%s' has more than %d backing files", disk->target,
					 VMC_CHAIN_MAX);
		(void) attribute (child (store, "format"), "type", disk->backing_format[disk->backing_count],
				  VMC_NAME_SIZE);
		if (!source_path (source, disk->backing[disk->backing_count++]))
			return vmc_fail (err, VMC_REFUSED, ENAMETOOLONG,
					 "a backing file of disk '%s' has too long a path", disk->target);
	}
	return 0;
}

static void read_serial (xmlNode *node, struct vmc_disk *disk)
{
	xmlNode *serial = child (node, "serial");
	xmlChar *text = serial ? xmlNodeGetContent (serial) : NULL;

	if (text != NULL)
		(void) snprintf (disk->serial, sizeof disk->serial, "%s", (const char *) text);
	xmlFree (text);
}

static int read_disk (xmlNode *node, struct vmc_disk *disk, struct vmc_error *err)
{
	xmlNode *driver = child (node, "driver"), *source = child (node, "source"), *mirror = child (node, "mirror");

	if (!attribute (child (node, "target"), "dev", disk->target, sizeof disk->target) || disk->target[0] == 0)
		return vmc_fail (err, VMC_REFUSED, 0, "a disk of the domain has no target");
	(void) attribute (child (node, "target"), "bus", disk->bus, sizeof disk->bus);
	(void) attribute (node, "type", disk->type, sizeof disk->type);
	(void) attribute (node, "device", disk->device, sizeof disk->device);
	(void) attribute (driver, "type", disk->format, sizeof disk->format);
	(void) attribute (driver, "discard", disk->discard, sizeof disk->discard);
	(void) attribute (driver, "error_policy", disk->error_policy, sizeof disk->error_policy);
	if (!source_path (source, disk->path))
		return vmc_fail (err, VMC_REFUSED, ENAMETOOLONG, "the path of disk '%s' is too long", disk->target);
	(void) attribute (source, "protocol", disk->protocol, sizeof disk->protocol);
	read_serial (node, disk);
	read_address (node, disk);
	disk->read_only = child (node, "readonly") != NULL;
	disk->shareable = child (node, "shareable") != NULL;
	disk->transient = child (node, "transient") != NULL;
	disk->encrypted = child (node, "encryption") != NULL || child (source, "encryption") != NULL;
	disk->sliced = child (source, "slices") != NULL;
	disk->mirror = mirror != NULL;
	disk->mirror_ready = is (mirror, "ready", "yes");
	disk->mirror_moving = is (mirror, "ready", "pivot");
	(void) source_path (child (mirror, "source"), disk->mirror_path);
	disk->chain_known = child (node, "backingStore") != NULL;
	return read_chain (node, disk, err);
}

static void read_channel (xmlNode *node, struct vmc_disks *disks)
{
	xmlNode *target = child (node, "target");

	if (is (target, "name", VMC_CHANNEL_NAME)) {
		disks->channel = true;
		disks->channel_connected = is (target, "state", "connected");
	} else if (is (target, "name", VMC_QEMU_CHANNEL_NAME)) {
		disks->qemu_channel = true;
		disks->qemu_channel_connected = is (target, "state", "connected");
	}
}

int vmc_domain_xml_parse (const char *xml, struct vmc_disks *disks, struct vmc_error *err)
{
	CLEANUP_DOCUMENT xmlDoc *document = parse (xml);
	xmlNode *root = document ? xmlDocGetRootElement (document) : NULL, *devices = child (root, "devices");

	if (devices == NULL)
		return vmc_fail (err, VMC_FAILED, 0, "the XML of the domain cannot be read");
	(void) attribute (child (child (root, "os"), "type"), "machine", disks->machine, sizeof disks->machine);
	for (xmlNode *node = devices->children; node != NULL; node = node->next) {
		struct vmc_disk *items;

		if (node->type != XML_ELEMENT_NODE)
			continue;
		if (strcmp ((const char *) node->name, "channel") == 0)
			read_channel (node, disks);
		if (strcmp ((const char *) node->name, "controller") == 0 && is (node, "type", "virtio-serial"))
			disks->channel_controller = true;
		if (strcmp ((const char *) node->name, "disk") != 0)
			continue;
		items = reallocarray (disks->items, disks->count + 1, sizeof *items);
		if (items == NULL)
			return vmc_fail (err, VMC_FAILED, ENOMEM, "no memory for the disks");
		disks->items = items;
		memset (&items[disks->count], 0, sizeof *items);
		if (read_disk (node, &items[disks->count++], err) < 0)
			return -1;
	}
	return 0;
}

/* --- comparing and editing -------------------------------------------------------------------- */

static xmlNode *find_disk (xmlDoc *document, const char *target)
{
	xmlNode *devices = document ? child (xmlDocGetRootElement (document), "devices") : NULL;

	for (xmlNode *node = devices ? devices->children : NULL; node != NULL; node = node->next)
		if (node->type == XML_ELEMENT_NODE && strcmp ((const char *) node->name, "disk") == 0 &&
		    is (child (node, "target"), "dev", target))
			return node;
	return NULL;
}

static void drop_indexes (xmlNode *node)
{
	for (; node != NULL; node = node->next) {
		if (node->type != XML_ELEMENT_NODE)
			continue;
		(void) xmlUnsetProp (node, X ("index"));
		drop_indexes (node->children);
	}
}

char *vmc_domain_xml_disk_text (const char *xml, const char *target)
{
	CLEANUP_DOCUMENT xmlDoc *document = parse (xml);
	xmlNode *disk = find_disk (document, target);
	xmlBuffer *buffer = disk ? xmlBufferCreate () : NULL;
	char *text = NULL;

	if (buffer == NULL)
		return NULL;
	(void) xmlUnsetProp (disk, X ("index"));
	drop_indexes (disk->children);
	if (xmlNodeDump (buffer, document, disk, 0, 0) >= 0)
		text = strdup ((const char *) xmlBufferContent (buffer));
	xmlBufferFree (buffer);
	return text;
}

/* DOCUMENT as text, to be freed; NULL when memory runs out. */
static char *dump (xmlDoc *document)
{
	xmlChar *bytes = NULL;
	char *text = NULL;
	int length;

	xmlDocDumpMemory (document, &bytes, &length);
	if (bytes != NULL)
		text = strdup ((const char *) bytes);
	xmlFree (bytes);
	return text;
}

char *vmc_domain_xml_with_disk (const char *xml, const char *from, const char *target)
{
	CLEANUP_DOCUMENT xmlDoc *document = parse (xml);
	CLEANUP_DOCUMENT xmlDoc *donor = parse (from);
	xmlNode *old = find_disk (document, target), *new = find_disk (donor, target);

	if (old == NULL || new == NULL)
		return NULL;
	new = xmlDocCopyNode (new, document, 1);
	if (new == NULL)
		return NULL;
	xmlFreeNode (xmlReplaceNode (old, new));
	return dump (document);
}

static void drop_child (xmlNode *node, const char *name)
{
	xmlNode *one = child (node, name);

	if (one == NULL)
		return;
	xmlUnlinkNode (one);
	xmlFreeNode (one);
}

char *vmc_domain_xml_on_image (const char *xml, const char *target, const char *file, const char *format)
{
	CLEANUP_DOCUMENT xmlDoc *document = parse (xml);
	xmlNode *disk = find_disk (document, target), *driver = child (disk, "driver"),
		*source = child (disk, "source");

	if (driver == NULL || source == NULL)
		return NULL;
	if (file != NULL) {
		if (xmlSetProp (source, X ("file"), X (file)) == NULL)
			return NULL;
		drop_child (disk, "backingStore");
	}
	if (format != NULL && xmlSetProp (driver, X ("type"), X (format)) == NULL)
		return NULL;
	return dump (document);
}

char *vmc_domain_xml_with_discard (const char *xml, const char *target)
{
	CLEANUP_DOCUMENT xmlDoc *document = parse (xml);
	xmlNode *disk = find_disk (document, target), *driver = child (disk, "driver");

	if (disk != NULL && driver == NULL)
		driver = xmlNewChild (disk, NULL, X ("driver"), NULL);
	if (driver == NULL || xmlSetProp (driver, X ("discard"), X ("unmap")) == NULL)
		return NULL;
	return dump (document);
}

char *vmc_domain_xml_copy (const char *overlay)
{
	CLEANUP_DOCUMENT xmlDoc *document = xmlNewDoc (X ("1.0"));
	xmlNode *disk = xmlNewDocNode (document, NULL, X ("disk"), NULL);

	if (disk == NULL)
		return NULL;
	xmlDocSetRootElement (document, disk);
	xmlNewProp (disk, X ("type"), X ("file"));
	xmlNewProp (xmlNewChild (disk, NULL, X ("driver"), NULL), X ("type"), X ("qcow2"));
	xmlNewProp (xmlNewChild (disk, NULL, X ("source"), NULL), X ("file"), X (overlay));
	return dump (document);
}

static xmlNode *add_disk (xmlNode *disks, const char *name, const char *snapshot)
{
	xmlNode *disk = xmlNewChild (disks, NULL, X ("disk"), NULL);

	if (disk != NULL) {
		xmlNewProp (disk, X ("name"), X (name));
		xmlNewProp (disk, X ("snapshot"), X (snapshot));
	}
	return disk;
}

char *vmc_domain_xml_snapshot (const struct vmc_disks *disks, const char *target, const char *overlay)
{
	CLEANUP_DOCUMENT xmlDoc *document = xmlNewDoc (X ("1.0"));
	xmlNode *root = xmlNewDocNode (document, NULL, X ("domainsnapshot"), NULL);
	xmlNode *list = root ? xmlNewChild (root, NULL, X ("disks"), NULL) : NULL;

	xmlDocSetRootElement (document, root);
	for (size_t i = 0; list != NULL && i < disks->count; i++) {
		bool ours = strcmp (disks->items[i].target, target) == 0;
		xmlNode *disk = add_disk (list, disks->items[i].target, ours ? "external" : "no");

		if (disk == NULL)
			return NULL;
		if (!ours)
			continue;
		xmlNewProp (disk, X ("type"), X ("file"));
		xmlNewProp (xmlNewChild (disk, NULL, X ("driver"), NULL), X ("type"), X ("qcow2"));
		xmlNewProp (xmlNewChild (disk, NULL, X ("source"), NULL), X ("file"), X (overlay));
	}
	return dump (document);
}
