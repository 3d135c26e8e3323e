#include <creactor/error.h>
#include <creactor/version.h>
#include <stddef.h>
#include <string.h>

const char *cre_error_name(int error) {
    switch (error) {
    case 0: return "CRE_OK";
#define XX(name, number, message) \
    case number: return "CRE_E" #name;
        CRE_ERROR_MAP(XX)
#undef XX
    default: break;
    }
#ifdef __GLIBC__
    const char *name = error < 0 && error > -1000 ? strerrorname_np(-error) : NULL;
    if (name) return name;
#endif
    return "CRE_EUNKNOWN";
}

const char *cre_error_message(int error) {
    switch (error) {
    case 0: return "success";
#define XX(name, number, message) \
    case number: return message;
        CRE_ERROR_MAP(XX)
#undef XX
    default: return error < 0 && error > -1000 ? strerror(-error) : "unknown error";
    }
}

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *cre_version(void) {
    return TEXT(CRE_VERSION_MAJOR) "." TEXT(CRE_VERSION_MINOR) "." TEXT(CRE_VERSION_PATCH);
}
