# CREACTOR_SANITIZE instruments the library, its tests and its examples alike.
if(CREACTOR_SANITIZE)
    add_compile_options(-fsanitize=${CREACTOR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all -g)
    add_link_options(-fsanitize=${CREACTOR_SANITIZE})
endif()

# Two things about the Swift toolchain's clang: it would link with gold, which warns about each instrumented object, and
# its thread sanitizer intercepts Dispatch, which must then be there at link time.
if(CMAKE_C_COMPILER_ID MATCHES Clang AND (CREACTOR_SANITIZE OR CREACTOR_BUILD_FUZZERS))
    add_link_options(-fuse-ld=lld)
    if(CREACTOR_SANITIZE MATCHES thread)
        execute_process(COMMAND ${CMAKE_C_COMPILER} -print-resource-dir
            OUTPUT_VARIABLE resources OUTPUT_STRIP_TRAILING_WHITESPACE)
        get_filename_component(swift_libraries ${resources}/../../swift/linux ABSOLUTE)
        if(EXISTS ${swift_libraries}/libdispatch.so)
            link_libraries(-L${swift_libraries} -Wl,-rpath,${swift_libraries} -Wl,--no-as-needed -ldispatch -lBlocksRuntime)
        endif()
    endif()
endif()
