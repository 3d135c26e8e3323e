#include <creactor/internal/process.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

void cre_process_keep_memory(void) {
#ifdef __GLIBC__
    /* By default a block of a few hundred KiB may be mapped anew, and its pages faulted in, for each message.
     */
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
#endif
}
