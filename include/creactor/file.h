/* Files beneath a folder, opened so that neither a path nor a symbolic link leads out of it. */
#ifndef CREACTOR_FILE_H
#define CREACTOR_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "export.h"

/** The treatment of symbolic links beneath a folder. The path of the folder itself may contain links. */
typedef enum cre_symlinks {
    /** Follow links to places beneath the folder; refuse others, and absolute ones. */
    CRE_SYMLINKS_BENEATH = 0,
    /** Refuse all. */
    CRE_SYMLINKS_REFUSED = 1,
    /** Follow all, to any place. */
    CRE_SYMLINKS_FOLLOWED = 2,
} cre_symlinks;

/** The state of an open file. */
typedef struct cre_file_info {
    uint64_t device, inode; /* identify the file */
    uint64_t size;          /* in bytes */
    int64_t modified;       /* seconds since 1970 */
    uint32_t modified_ns;   /* and nanoseconds */
    bool is_folder;         /* false: a regular file */
} cre_file_info;

/** The longest entity tag of a file, in bytes. */
enum { CRE_FILE_ETAG_MAX = 64 };

CRE_BEGIN_DECLS

/**
 * Opens a regular file or a folder for reading. `path` is relative to `folder` and must not be empty ("." is
 * the folder itself). The rules are applied by the system while it resolves the path, so a file that is
 * swapped for a link meanwhile is not followed either. A system before Linux 5.6 cannot do that; there, all
 * links are refused unless CRE_SYMLINKS_FOLLOWED.
 *
 * Returns the descriptor, which the caller closes, and sets *info. Errors: -ENOENT and the like; -EXDEV when
 * the path leaves the folder; -ELOOP or -ENOTDIR for a refused link; CRE_EINVALID for an empty or absolute
 * path and for anything but a regular file or a folder. Any thread; it may block on a slow disk.
 */
CRE_NODISCARD CRE_API int cre_file_open(const char *folder, const char *path, cre_symlinks symlinks,
                                        cre_file_info *info);

/**
 * Opens a regular file for reading by its path, which is the application's own: links are followed. Does not
 * wait for the writer of a pipe.
 *
 * Returns the descriptor, which the caller closes, and sets *info. Errors: -ENOENT and the like; -EISDIR for
 * a folder; CRE_EINVALID for anything else but a regular file. Any thread; it may block on a slow disk.
 */
CRE_NODISCARD CRE_API int cre_file_open_path(const char *path, cre_file_info *info);

/** Returns the status of the response to a request for a file that cannot be opened, 404 or 500, by the error
 * of cre_file_open_path. Any thread. */
CRE_NODISCARD CRE_API int cre_file_status(int error);

/** Writes the entity tag of a file, made of time, size and inode, to `out`, without a terminator: quoted, and
 * with `weak` after "W/". Returns its length. Any thread. */
CRE_API size_t cre_file_etag(char out[CRE_FILE_ETAG_MAX], const cre_file_info *info, bool weak);

/** Returns whether both are the same file in the same state. Any thread. */
CRE_NODISCARD CRE_API bool cre_file_unchanged(const cre_file_info *one, const cre_file_info *other);

CRE_END_DECLS

#endif
