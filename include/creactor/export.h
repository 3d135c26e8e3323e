/* Visibility and small attributes shared by all public headers. */
#ifndef CREACTOR_EXPORT_H
#define CREACTOR_EXPORT_H

#ifdef __cplusplus
#define CRE_BEGIN_DECLS extern "C" {
#define CRE_END_DECLS   }
#else
#define CRE_BEGIN_DECLS
#define CRE_END_DECLS
#endif

/* CRE_API exports a function; everything else has hidden visibility. CRE_NODISCARD warns when a result is
 * ignored that reports a failure or owns something. */
#if defined(__GNUC__) || defined(__clang__)
#define CRE_API             __attribute__((visibility("default")))
#define CRE_NODISCARD       __attribute__((warn_unused_result))
#define CRE_PRINTF(fmt, at) __attribute__((format(printf, fmt, at)))
#else
#define CRE_API
#define CRE_NODISCARD
#define CRE_PRINTF(fmt, at)
#endif

#endif
