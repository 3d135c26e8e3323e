/* Responses as commands carry them. */
#ifndef CRE_ENGINE_RESPONSE_H
#define CRE_ENGINE_RESPONSE_H

#include <creactor/buffer.h>
#include <creactor/record.h>
#include <creactor/table.h>
#include <stdbool.h>

typedef struct cre__response {
    uint16_t status;
    bool checked;     /* the fields are packed, and were checked */
    bool text;        /* the body is text: CRE_RESPONSE_TEXT */
    bool lines;       /* the fields are lines, as cre_engine_respond takes them */
    cre_slice fields; /* otherwise packed: cre_http_fields_put */
} cre__response;

/* A response whose body is a part of a file. */
typedef struct cre__file_response {
    cre__response head;
    cre_file_range range;
    char path[CRE_MAX_PATH + 1];
} cre__file_response;

/* A response whose body is a file beneath a folder, or parts of it. */
typedef struct cre__folder_response {
    cre__response head;
    cre_folder_file file;
    cre_file_part parts[CRE_MAX_FILE_PARTS];
    uint64_t length; /* of all parts with their texts */
    cre_slice texts;
    char folder[CRE_MAX_PATH + 1], path[CRE_MAX_PATH + 1];
} cre__folder_response;

/* The answer to a handshake. */
typedef struct cre__upgrade {
    bool chosen; /* whether the subprotocol is given; else the port chooses it */
    char subprotocol[CRE_MAX_SUBPROTOCOL + 1];
    cre_slice fields; /* packed, not checked */
    cre_slice data;   /* what the connection keeps for the application */
} cre__upgrade;

/* Reads an UPGRADE. Returns 0, CRE_EINVALID or CRE_EHTTP_INVALID_FIELD. */
int cre__upgrade_read(cre__upgrade *upgrade, cre_slice *parts, int count);
/* Reads the head of a RESPOND; the parts are the body then. Returns 0 or CRE_EINVALID. */
int cre__response_read(cre__response *response, cre_slice *parts, int count);
/* The same of a payload in one part. */
int cre__response_read_whole(cre__response *response, const cre_slice *whole, cre_slice *body);
/* Reads a RESPOND_INTERIM. Returns 0 or CRE_EINVALID. */
int cre__interim_read(cre__response *response, cre_slice *parts, int count);
/* Reads the trailers of a RESPOND_BODY; the parts are the last piece then. Returns 0, CRE_EINVALID,
 * CRE_ELIMIT or CRE_EHTTP_INVALID_FIELD. */
int cre__trailers_read(cre_slice *trailers, cre_slice *parts, int count);
/* Reads a RESPOND_FILE. Returns 0 or CRE_EINVALID. */
int cre__file_response_read(cre__file_response *response, cre_slice *parts, int count);
/* Reads a RESPOND_FOLDER_FILE. Returns 0 or CRE_EINVALID. */
int cre__folder_response_read(cre__folder_response *response, cre_slice *parts, int count);

#endif
