/* Visibility and small attributes shared by all public headers. */
#ifndef CREACTOR_EXPORT_H
#define CREACTOR_EXPORT_H

#ifdef __cplusplus
#define CRE_BEGIN_DECLS extern "C" {
#define CRE_END_DECLS   }
#else
#define CRE_BEGIN_DECLS /* begins declarations that C++ programs may include */
#define CRE_END_DECLS   /* ends declarations that C++ programs may include */
#endif

#if defined(__GNUC__) || defined(__clang__)
#define CRE_API             __attribute__((visibility("default"))) /* exports a function; all else is hidden */
#define CRE_NODISCARD       __attribute__((warn_unused_result)) /* the result reports a failure, or is owned */
#define CRE_PRINTF(fmt, at) __attribute__((format(printf, fmt, at))) /* checks the arguments of a format */
#else
#define CRE_API
#define CRE_NODISCARD
#define CRE_PRINTF(fmt, at)
#endif

#endif
