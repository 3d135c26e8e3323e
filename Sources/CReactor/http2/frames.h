/* Where the frames end in what a server receives. */
#ifndef CRE_HTTP2_FRAMES_H
#define CRE_HTTP2_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cre__h2_frames {
    uint32_t left; /* bytes of the frame, or of the preface, that are still to come */
    uint8_t head_length;
    bool ends_head;  /* the frame ends a field section */
    uint8_t head[9]; /* of the next frame, `head_length` bytes */
} cre__h2_frames;

void cre__h2_frames_init(cre__h2_frames *frames);
/* Returns how many of the next bytes lead up to the end of the first field section that ends in them; all of
 * them if none does. */
size_t cre__h2_frames_cut(cre__h2_frames *frames, const uint8_t *data, size_t length);

#endif
