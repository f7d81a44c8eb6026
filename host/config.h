/* config.h - the configuration file: "key = value" lines, each key the long name of an option */
#ifndef VMC_CONFIG_H
#define VMC_CONFIG_H

#include "error.h"

#define VMC_CONFIG_FILE SYSCONFDIR "/vmcompact/vmcompact.conf"

/* Called with each key and its value. */
typedef int vmc_config_take (void *opaque, const char *key, const char *value, struct vmc_error *err);

/* Read the file PATH; NULL: VMC_CONFIG_FILE, which need not be there. TEXT gets what keys and values lie in, to be freed by the
 * caller when they are no longer needed (NULL: no file). VMC_USAGE with the file and the line for what makes no sense, also when
 * others could have written it: it names programs that are run. */
int vmc_config_read (const char *path, char **text, vmc_config_take *take, void *opaque, struct vmc_error *err)
	__attribute__ ((nonnull (2, 3, 5), warn_unused_result));

#endif
