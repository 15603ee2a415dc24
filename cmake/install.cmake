# What `cmake --install` puts where: header, shared library, command, man page, pkg-config file, CMake package.

install(TARGETS clio_shared EXPORT clio LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/clio.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS clio RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/man/clio.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

# The prefix is found from where clio.pc lies, so that `cmake --install --prefix` may choose another one than was configured.
file(RELATIVE_PATH CLIO_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/clio.pc.in clio.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/clio.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

include(CMakePackageConfigHelpers)
set(CLIO_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/clio)
install(EXPORT clio NAMESPACE clio:: FILE clio-config.cmake DESTINATION ${CLIO_PACKAGE_DIR})
write_basic_package_version_file(clio-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/clio-config-version.cmake DESTINATION ${CLIO_PACKAGE_DIR})
