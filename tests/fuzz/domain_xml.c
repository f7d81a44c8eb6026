/* domain_xml.c - fuzz target: what the domain XML says, and the functions that cut and replace disks (host/domain_xml.h)
 *
 * The input is the XML of a domain; a zero byte may part it from a second one, from which disks are taken.
 */
#include "fuzz.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "domain_xml.h"

/* Every text has its end. */
#define ENDED(text) (memchr (text, 0, sizeof (text)) != NULL)

static void check_disk (const struct vmc_disk *disk)
{
	FUZZ_MUST (disk->target[0] != 0 && ENDED (disk->target) && ENDED (disk->bus) && ENDED (disk->type));
	FUZZ_MUST (ENDED (disk->device) && ENDED (disk->format) && ENDED (disk->discard) &&
		   ENDED (disk->error_policy) && ENDED (disk->serial));
	FUZZ_MUST (ENDED (disk->address) && ENDED (disk->path) && ENDED (disk->mirror_path));
	FUZZ_MUST (disk->backing_count <= VMC_CHAIN_MAX);
	for (size_t i = 0; i < disk->backing_count; i++)
		FUZZ_MUST (ENDED (disk->backing[i]) && ENDED (disk->backing_format[i]));
}

/* Do two lists name the same disks, in the same order, with the same texts? */
static bool same (const struct vmc_disks *a, const struct vmc_disks *b)
{
	return a->count == b->count && a->channel == b->channel && a->channel_connected == b->channel_connected &&
	       a->qemu_channel == b->qemu_channel && a->qemu_channel_connected == b->qemu_channel_connected &&
	       (a->count == 0 || memcmp (a->items, b->items, a->count * sizeof *a->items) == 0);
}

/* Put the disk TARGET of DONOR into XML: there it is that disk, and the others are what they were. */
static void check_replace (const char *xml, const struct vmc_disks *disks, const char *donor,
			   const struct vmc_disks *donors, const char *target)
{
	VMC_CLEANUP_DISKS struct vmc_disks now = {0};
	char *text = vmc_domain_xml_with_disk (xml, donor, target);
	const struct vmc_disk *wanted = vmc_disks_find (donors, target), *first = vmc_disks_find (disks, target);
	struct vmc_error err;

	FUZZ_MUST ((text != NULL) == (first != NULL && wanted != NULL));
	if (text == NULL)
		return;
	FUZZ_MUST (vmc_domain_xml_parse (text, &now, &err) == 0);
	FUZZ_MUST (now.count == disks->count);
	for (size_t i = 0; i < now.count; i++)
		FUZZ_MUST (memcmp (&now.items[i], &disks->items[i] == first ? wanted : &disks->items[i],
				   sizeof now.items[i]) == 0);
	free (text);
}

/* The text of a disk, put back into a domain, is that disk. */
static void check_text (const char *xml, const struct vmc_disk *disk)
{
	VMC_CLEANUP_DISKS struct vmc_disks now = {0};
	char *text = vmc_domain_xml_disk_text (xml, disk->target), *domain, *again;
	struct vmc_error err;

	FUZZ_MUST (text != NULL);
	domain = malloc (strlen (text) + 100);
	FUZZ_MUST (domain != NULL);
	(void) sprintf (domain, "<domain><devices>%s</devices></domain>", text);
	/* A text with names or entities that are declared outside of it cannot be read alone. */
	if (strchr (text, '&') == NULL && strchr (text, ':') == NULL) {
		FUZZ_MUST (vmc_domain_xml_parse (domain, &now, &err) == 0 && now.count == 1);
		FUZZ_MUST (memcmp (&now.items[0], disk, sizeof *disk) == 0);
		again = vmc_domain_xml_disk_text (domain, disk->target);
		FUZZ_MUST (again != NULL && strcmp (again, text) == 0);
		free (again);
	}
	free (domain);
	free (text);
}

/* How many <disk> elements have snapshot=KIND. */
static size_t count_kind (xmlNode *disks, const char *kind)
{
	size_t count = 0;

	for (xmlNode *node = disks->children; node != NULL; node = node->next) {
		xmlChar *value = xmlGetProp (node, (const xmlChar *) "snapshot");

		FUZZ_MUST (value != NULL);
		count += strcmp ((const char *) value, kind) == 0;
		xmlFree (value);
	}
	return count;
}

/* The XML of a snapshot can be read, and leaves out every disk but those that bear the name. */
static void check_snapshot (const struct vmc_disks *disks, const char *target, const char *path)
{
	char *text = vmc_domain_xml_snapshot (disks, target, path);
	xmlDoc *document;
	size_t ours = 0;

	FUZZ_MUST (text != NULL);
	document = xmlReadMemory (text, (int) strlen (text), "snapshot.xml", NULL, XML_PARSE_NOBLANKS);
	FUZZ_MUST (document != NULL);
	for (size_t i = 0; i < disks->count; i++)
		ours += strcmp (disks->items[i].target, target) == 0;
	FUZZ_MUST (count_kind (xmlDocGetRootElement (document)->children, "external") == ours);
	FUZZ_MUST (count_kind (xmlDocGetRootElement (document)->children, "no") == disks->count - ours);
	xmlFreeDoc (document);
	free (text);
}

static void check_all (const char *xml, const char *donor)
{
	VMC_CLEANUP_DISKS struct vmc_disks disks = {0}, again = {0}, donors = {0};
	struct vmc_error err = {0};
	bool good = vmc_domain_xml_parse (xml, &disks, &err) == 0;

	FUZZ_MUST (good || err.text[0] != 0);
	FUZZ_MUST ((vmc_domain_xml_parse (xml, &again, &err) == 0) == good && same (&disks, &again));
	if (vmc_domain_xml_parse (donor, &donors, &err) < 0 || !good) {
		free (vmc_domain_xml_with_disk (xml, donor, "vda"));
		free (vmc_domain_xml_disk_text (xml, "vda"));
		return;
	}
	for (size_t i = 0; i < disks.count && i < 4; i++) {
		check_disk (&disks.items[i]);
		check_replace (xml, &disks, donor, &donors, disks.items[i].target);
		check_replace (xml, &disks, xml, &disks, disks.items[i].target);
		if (vmc_disks_find (&disks, disks.items[i].target) == &disks.items[i])
			check_text (xml, &disks.items[i]);
		check_snapshot (&disks, disks.items[i].target, disks.items[i].path);
	}
}

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
	const uint8_t *zero = size ? memchr (data, 0, size) : NULL;
	size_t length = zero ? (size_t) (zero - data) : size;
	char *xml = fuzz_text (data, length), *donor = fuzz_text (data + length, size - length);

	check_all (xml, zero ? donor + 1 : xml);
	free (xml);
	free (donor);
	return 0;
}
