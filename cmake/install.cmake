# What `cmake --install` puts where: header, shared library, command, man pages, completions, pkg-config file, CMake package.

install(TARGETS clio_shared EXPORT clio LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${PROJECT_SOURCE_DIR}/include/clio.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS clio RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# Man pages and completions are printed by the command just built, from its own tables of options. A command built for another machine cannot
# run here: then they are left out.
if(CMAKE_CROSSCOMPILING)
    message(STATUS "cross-compiling: no man pages and completions (clio --generate prints them on the target)")
else()
    set(CLIO_GENERATED)
    function(clio_generate file) # arguments of clio --generate
        # Without VERBATIM, which would quote the redirection.
        add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/${file} COMMAND clio --generate ${ARGN} > "${PROJECT_BINARY_DIR}/${file}" DEPENDS clio)
        set(CLIO_GENERATED ${CLIO_GENERATED} ${PROJECT_BINARY_DIR}/${file} PARENT_SCOPE)
    endfunction()
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/man ${PROJECT_BINARY_DIR}/completions)
    clio_generate(man/clio.1 man)
    foreach(command transcribe caption imagine train sample eval embed devices tune bench)
        clio_generate(man/clio-${command}.1 man ${command})
    endforeach()
    clio_generate(completions/clio bash)
    clio_generate(completions/_clio zsh)
    clio_generate(completions/clio.fish fish)
    add_custom_target(clio_generated ALL DEPENDS ${CLIO_GENERATED})
    install(DIRECTORY ${PROJECT_BINARY_DIR}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${PROJECT_BINARY_DIR}/completions/clio DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${PROJECT_BINARY_DIR}/completions/_clio DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
    install(FILES ${PROJECT_BINARY_DIR}/completions/clio.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

# The prefix is found from where clio.pc lies, so that `cmake --install --prefix` may choose another one than was configured.
file(RELATIVE_PATH CLIO_PC_TO_PREFIX /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/clio.pc.in clio.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/clio.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

include(CMakePackageConfigHelpers)
set(CLIO_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/clio)
install(EXPORT clio NAMESPACE clio:: FILE clio-config.cmake DESTINATION ${CLIO_PACKAGE_DIR})
write_basic_package_version_file(clio-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/clio-config-version.cmake DESTINATION ${CLIO_PACKAGE_DIR})
