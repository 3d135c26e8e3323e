# Library, headers, creactor.pc and the CMake package. include/module.modulemap stays here: installed, it would claim
# the root of the system's include folder.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/creactor)
install(TARGETS creactor EXPORT creactorTargets)
install(DIRECTORY include/creactor DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING
    PATTERN "*.h" PATTERN internal EXCLUDE)
install(EXPORT creactorTargets NAMESPACE creactor:: DESTINATION ${package_dir})

configure_package_config_file(cmake/creactorConfig.cmake.in ${PROJECT_BINARY_DIR}/creactorConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/creactorConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/creactorConfig.cmake ${PROJECT_BINARY_DIR}/creactorConfigVersion.cmake
    DESTINATION ${package_dir})

# A static library passes its dependencies on, a shared one keeps them to itself.
if(BUILD_SHARED_LIBS)
    set(pc_requires "Requires.private: libuv")
    set(pc_libs_private "")
else()
    set(pc_requires "Requires: libuv")
    set(pc_libs_private " -pthread")
endif()
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR} OR IS_ABSOLUTE ${CMAKE_INSTALL_INCLUDEDIR})
    set(pc_prefix ${CMAKE_INSTALL_PREFIX})
    set(pc_libdir ${CMAKE_INSTALL_FULL_LIBDIR})
    set(pc_includedir ${CMAKE_INSTALL_FULL_INCLUDEDIR})
else()
    file(RELATIVE_PATH up ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
    string(REGEX REPLACE "/$" "" up "${up}")
    set(pc_prefix "\${pcfiledir}/${up}")
    set(pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/creactor.pc.in ${PROJECT_BINARY_DIR}/creactor.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/creactor.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
