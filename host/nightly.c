/* nightly.c - see nightly.h */
#include "nightly.h"

#include <libvirt/virterror.h>
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "values.h"

static int take_method (const char *word, struct vmc_nightly *nightly, struct vmc_error *err)
{
	for (int method = VMC_METHOD_AUTO; method <= VMC_METHOD_CONVERT; method++) {
		if (strcmp (word, vmc_method_choice_name (method)) != 0)
			continue;
		nightly->method = (enum vmc_method_choice) method;
		nightly->method_known = true;
		return 0;
	}
	return vmc_fail (err, VMC_USAGE, 0, "method cannot be '%.40s'", word);
}

static int take_attribute (const char *name, const char *word, struct vmc_nightly *nightly, struct vmc_error *err)
{
	if (strcmp (name, "skip") == 0)
		return vmc_value_yes_no (name, word, &nightly->skip, err);
	if (strcmp (name, "method") == 0)
		return take_method (word, nightly, err);
	if (strcmp (name, "from") == 0)
		return vmc_value_time (name, word, &nightly->from_minutes, err);
	if (strcmp (name, "until") == 0)
		return vmc_value_time (name, word, &nightly->until_minutes, err);
	if (strcmp (name, "min-reclaim") == 0) {
		nightly->min_reclaim_known = true;
		return vmc_value_bytes (name, word, &nightly->min_reclaim_bytes, err);
	}
	return vmc_fail (err, VMC_USAGE, 0, "<nightly> has no attribute '%.40s'", name);
}

static int take_attributes (xmlNode *element, struct vmc_nightly *nightly, struct vmc_error *err)
{
	if (strcmp ((const char *) element->name, "nightly") != 0)
		return vmc_fail (err, VMC_USAGE, 0, "there is a <%.40s> where only a <nightly> can be",
				 (const char *) element->name);
	for (xmlAttr *attribute = element->properties; attribute != NULL; attribute = attribute->next) {
		xmlChar *word = xmlNodeListGetString (element->doc, attribute->children, 1);
		int result =
			take_attribute ((const char *) attribute->name, word ? (const char *) word : "", nightly, err);

		xmlFree (word);
		if (result < 0)
			return -1;
	}
	if ((nightly->from_minutes < 0) != (nightly->until_minutes < 0))
		return vmc_fail (err, VMC_USAGE, 0, "from and until go together");
	return 0;
}

int vmc_nightly_parse (const char *xml, struct vmc_nightly *nightly, struct vmc_error *err)
{
	xmlDoc *document = xmlReadMemory (xml, (int) strlen (xml), NULL, NULL,
					  XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	xmlNode *root = document ? xmlDocGetRootElement (document) : NULL;
	int result;

	*nightly = (struct vmc_nightly) {.from_minutes = -1, .until_minutes = -1};
	result = root ? take_attributes (root, nightly, err) : vmc_fail (err, VMC_USAGE, 0, "they are no XML");
	xmlFreeDoc (document);
	return result < 0 ? vmc_fail_in (err, "its metadata of " VMC_NIGHTLY_URI) : 0;
}

int vmc_nightly_read (virDomainPtr domain, struct vmc_nightly *nightly, struct vmc_error *err)
{
	char *xml = VMC_LIBVIRT (virDomainGetMetadata (domain, VIR_DOMAIN_METADATA_ELEMENT, VMC_NIGHTLY_URI, 0));
	int result;

	*nightly = (struct vmc_nightly) {.from_minutes = -1, .until_minutes = -1};
	if (xml == NULL && virGetLastErrorCode () == VIR_ERR_NO_DOMAIN_METADATA)
		return 0;
	if (xml == NULL)
		return vmc_fail_libvirt (err, VMC_FAILED, "cannot read its metadata");
	result = vmc_nightly_parse (xml, nightly, err);
	free (xml);
	return result;
}
