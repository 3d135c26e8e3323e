/* The version of the library. CMake reads the three numbers from this file. */
#ifndef CREACTOR_VERSION_H
#define CREACTOR_VERSION_H

#include "export.h"

#define CRE_VERSION_MAJOR 0 /* the major version */
#define CRE_VERSION_MINOR 1 /* the minor version */
#define CRE_VERSION_PATCH 0 /* the patch version */

CRE_BEGIN_DECLS

/** The version of the linked library, "MAJOR.MINOR.PATCH"; a static string. Any thread. */
CRE_API const char *cre_version(void);

CRE_END_DECLS

#endif
