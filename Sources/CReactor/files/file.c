/* Files beneath a folder. */
#include <creactor/file.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/openat2.h"

/* Without O_NONBLOCK a pipe would block until it has a writer. */
#define FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)

/* How often the system may report that something was renamed while it resolved a path. */
#define ATTEMPTS 8

/* Opens the path segment by segment and follows no links. */
static int open_stepwise(int folder, const char *path) {
    char name[256];
    int at = folder;
    for (;;) {
        size_t length = strcspn(path, "/");
        const char *rest = path + length + strspn(path + length, "/");
        if (length >= sizeof name) {
            errno = ENAMETOOLONG;
            break;
        }
        memcpy(name, path, length);
        name[length] = 0;
        if (strcmp(name, "..") == 0) {
            errno = EXDEV;
            break;
        }
        int next =
            openat(at, *name ? name : ".", O_NOFOLLOW | (*rest ? O_PATH | O_DIRECTORY | O_CLOEXEC : FLAGS));
        if (next < 0) break;
        if (at != folder) close(at);
        if (!*rest) return next;
        at = next;
        path = rest;
    }
    int error = errno;
    if (at != folder) close(at);
    errno = error;
    return -1;
}

static int open_beneath(const char *folder, const char *path, uint64_t resolve) {
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) return -errno;
    int descriptor = -1;
    for (int i = 0; i < ATTEMPTS; i++) {
        descriptor = cre__openat2(at, path, FLAGS, resolve);
        if (descriptor >= 0 || errno != EAGAIN) break;
    }
    /* Some sandboxes report EPERM for a call that they do not know. */
    if (descriptor < 0 && (errno == ENOSYS || errno == EPERM)) descriptor = open_stepwise(at, path);
    int result = descriptor < 0 ? -errno : descriptor;
    close(at);
    return result;
}

static int open_anywhere(const char *folder, const char *path) {
    int at = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) return -errno;
    int descriptor = openat(at, path, FLAGS), result = descriptor < 0 ? -errno : descriptor;
    close(at);
    return result;
}

static cre_file_info info_of(const struct stat *status) {
    return (cre_file_info){ .device = (uint64_t)status->st_dev,
                            .inode = (uint64_t)status->st_ino,
                            .size = (uint64_t)status->st_size,
                            .modified = (int64_t)status->st_mtim.tv_sec,
                            .modified_ns = (uint32_t)status->st_mtim.tv_nsec,
                            .is_folder = S_ISDIR(status->st_mode) };
}

int cre_file_open(const char *folder, const char *path, cre_symlinks symlinks, cre_file_info *info) {
    if (!*path || *path == '/') return CRE_EINVALID;
    uint64_t resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    if (symlinks == CRE_SYMLINKS_REFUSED) resolve |= RESOLVE_NO_SYMLINKS;
    int descriptor =
        symlinks == CRE_SYMLINKS_FOLLOWED ? open_anywhere(folder, path) : open_beneath(folder, path, resolve);
    if (descriptor < 0) return descriptor;
    struct stat status;
    int error = fstat(descriptor, &status) ? -errno : 0;
    if (!error && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) error = CRE_EINVALID;
    if (error) {
        close(descriptor);
        return error;
    }
    *info = info_of(&status);
    return descriptor;
}

int cre_file_open_path(const char *path, cre_file_info *info) {
    int descriptor = open(path, FLAGS);
    if (descriptor < 0) return -errno;
    struct stat status;
    int error = fstat(descriptor, &status) ? -errno : 0;
    if (!error && S_ISDIR(status.st_mode)) error = -EISDIR;
    if (!error && !S_ISREG(status.st_mode)) error = CRE_EINVALID;
    if (error) {
        close(descriptor);
        return error;
    }
    *info = info_of(&status);
    return descriptor;
}

int cre_file_status(int error) {
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -EISDIR:
    case -ENAMETOOLONG:
    case -ELOOP: return 404;
    default: return 500;
    }
}

static char *put_hex(char *out, uint64_t value) {
    int digits = 1;
    while (digits < 16 && value >> (4 * digits))
        digits++;
    for (int i = digits; i-- > 0;)
        *out++ = "0123456789abcdef"[value >> (4 * i) & 15];
    return out;
}

size_t cre_file_etag(char out[CRE_FILE_ETAG_MAX], const cre_file_info *info, bool weak) {
    char *at = out;
    if (weak) {
        *at++ = 'W';
        *at++ = '/';
    }
    *at++ = '"';
    at = put_hex(at, (uint64_t)info->modified * 1000000000u + info->modified_ns);
    *at++ = '-';
    at = put_hex(at, info->size);
    *at++ = '-';
    at = put_hex(at, info->inode);
    *at++ = '"';
    return (size_t)(at - out);
}

bool cre_file_unchanged(const cre_file_info *one, const cre_file_info *other) {
    return one->device == other->device && one->inode == other->inode && one->size == other->size &&
           one->modified == other->modified && one->modified_ns == other->modified_ns;
}
