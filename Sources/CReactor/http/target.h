/*
 * Code for one instruction set inside a file that is compiled for the baseline: CRE__TARGET_BEGIN(avx2) and
 * CRE__TARGET_END() around it. Flags for single files would have to be repeated in each build system.
 */
#ifndef CRE_HTTP_TARGET_H
#define CRE_HTTP_TARGET_H

#define CRE__PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define CRE__TARGET_BEGIN(set) \
    CRE__PRAGMA(clang attribute push(__attribute__((target(set))), apply_to = function))
#define CRE__TARGET_END() CRE__PRAGMA(clang attribute pop)
#else
#define CRE__TARGET_BEGIN(set) CRE__PRAGMA(GCC push_options) CRE__PRAGMA(GCC target(set))
#define CRE__TARGET_END()      CRE__PRAGMA(GCC pop_options)
#endif

#endif
