# tests/*/test_*.c: one program and one ctest each, on the internal library; test_api*.c on the shared one, as a user has it.
# tests/*/test_*.sh: shell tests. tests/support/make_*.c, bench/bench_*.c: programs that are run by hand or by tests.

find_package(PkgConfig REQUIRED)
pkg_check_modules(CLIO_cmocka QUIET IMPORTED_TARGET cmocka)
if(NOT CLIO_cmocka_FOUND)
    message(FATAL_ERROR "cmocka, which the tests use, is missing: scripts/install-deps installs it; -DCLIO_TESTS=OFF builds without tests.")
endif()

add_library(clio_internal STATIC $<TARGET_OBJECTS:clio_objects>)
target_link_libraries(clio_internal PUBLIC clio_flags clio_dependencies)

# Where the sources and the built programs are, for tests that read golden files or run the command.
add_library(clio_places INTERFACE)
target_compile_definitions(clio_places INTERFACE CLIO_SOURCE_DIR="${PROJECT_SOURCE_DIR}" CLIO_BUILD_DIR="${PROJECT_BINARY_DIR}")

# clFFT 2.12 deletes its plans through a base class without a virtual destructor: new_delete_type_mismatch lets it. The sanitizers of GCC up
# to 13 mistake some thread-local blocks for those of a glibc before 2.25 and read past them while they look for leaks ("Tracer caught
# signal 11", now and then, after tests that passed): intercept_tls_get_addr=0 leaves these blocks alone.
# Compiled kernels of the tests; $CLIO_TEST_CACHE names a folder that outlives the build (the key holds sources, options, device and driver).
set(CLIO_TEST_CACHE "${PROJECT_BINARY_DIR}/cache")
if(DEFINED ENV{CLIO_TEST_CACHE})
    set(CLIO_TEST_CACHE "$ENV{CLIO_TEST_CACHE}")
endif()

set(CLIO_TEST_ENVIRONMENT
    "CLIO_SOURCE_DIR=${PROJECT_SOURCE_DIR}"
    "CLIO_BUILD_DIR=${PROJECT_BINARY_DIR}"
    "LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/lsan.supp:print_suppressions=0"
    "ASAN_OPTIONS=new_delete_type_mismatch=0:intercept_tls_get_addr=0"
    "UBSAN_OPTIONS=print_stacktrace=1"
    "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp:halt_on_error=1:second_deadlock_stack=1"
    "CLIO_CACHE_DIR=${CLIO_TEST_CACHE}"
    "CLIO_TUNED_DIR=${PROJECT_BINARY_DIR}/tuned"
    "CMAKE_GENERATOR=${CMAKE_GENERATOR}"
    "CC=${CMAKE_C_COMPILER}")
if(CLIO_SANITIZE_FLAGS)
    list(JOIN CLIO_SANITIZE_FLAGS " " flags)
    list(APPEND CLIO_TEST_ENVIRONMENT "CFLAGS=${flags}")
endif()

set(shared_by_tests test.c folder.c trial.c)
list(TRANSFORM shared_by_tests PREPEND ${PROJECT_SOURCE_DIR}/tests/support/)
add_library(clio_test STATIC ${shared_by_tests})
target_link_libraries(clio_test PUBLIC clio_internal clio_places PkgConfig::CLIO_cmocka)

function(clio_program source)
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    target_link_libraries(${name} PRIVATE ${ARGN} m)
endfunction()

# The command without its main function, for tests of its parts.
file(GLOB found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
list(FILTER found EXCLUDE REGEX "/main\\.c$")
add_library(clio_command STATIC EXCLUDE_FROM_ALL ${found} ${CLIO_PAGE})
target_include_directories(clio_command PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(clio_command PUBLIC clio_test PkgConfig::CLIO_jansson)

file(GLOB tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*/test_*.c)
foreach(source IN LISTS tests)
    get_filename_component(name ${source} NAME_WE)
    if(name MATCHES "^test_api")
        clio_program(${source} clio_flags clio_places clio_shared PkgConfig::CLIO_cmocka)
    elseif(source MATCHES "/tests/cli/")
        clio_program(${source} clio_command)
    else()
        clio_program(${source} clio_test)
    endif()
    add_test(NAME ${name} COMMAND ${name})
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 ENVIRONMENT "${CLIO_TEST_ENVIRONMENT}")
    file(STRINGS ${source} device_free LIMIT_COUNT 1 REGEX "[Nn]eeds no device")
    if(device_free) # ctest -LE host leaves these out, on a second OpenCL implementation
        set_tests_properties(${name} PROPERTIES LABELS host)
    endif()
endforeach()

# The program that calls every public function with wrong arguments is made from clio.h.
find_program(CLIO_AWK NAMES awk mawk gawk REQUIRED)
set(api ${PROJECT_SOURCE_DIR}/tests/api)
add_custom_command(OUTPUT test_api_arguments.c
    COMMAND ${CLIO_AWK} -f ${api}/arguments.awk ${api}/arguments.h ${PROJECT_SOURCE_DIR}/include/clio.h > test_api_arguments.c
    DEPENDS ${api}/arguments.awk ${api}/arguments.h ${PROJECT_SOURCE_DIR}/include/clio.h VERBATIM)
clio_program(${PROJECT_BINARY_DIR}/test_api_arguments.c clio_flags clio_places clio_shared)
target_include_directories(test_api_arguments PRIVATE ${api})
add_test(NAME test_api_arguments COMMAND test_api_arguments)
set_tests_properties(test_api_arguments PROPERTIES TIMEOUT 900 ENVIRONMENT "${CLIO_TEST_ENVIRONMENT}")

# test_speech.sh reads an hour of speech with real weights: it is run by .ci/run on the release build.
file(GLOB tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/*/test_*.sh)
list(FILTER tests EXCLUDE REGEX "/test_speech\\.sh$")
foreach(source IN LISTS tests)
    get_filename_component(name ${source} NAME_WE)
    add_test(NAME ${name} COMMAND ${source})
    set_tests_properties(${name} PROPERTIES TIMEOUT 900 ENVIRONMENT "${CLIO_TEST_ENVIRONMENT}")
endforeach()

# Fuzz targets, over the corpus of small files and of those that once failed; with CLIO_FUZZ for libFuzzer, too (scripts/fuzz). The parser
# of the command line is one of them.
file(GLOB targets CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/fuzz/target*.c ${PROJECT_SOURCE_DIR}/cli/*.c)
list(FILTER targets EXCLUDE REGEX "/cli/main\\.c$")
add_library(clio_fuzz STATIC ${targets} ${CLIO_PAGE})
target_include_directories(clio_fuzz PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(clio_fuzz PUBLIC clio_test)
clio_program(${PROJECT_SOURCE_DIR}/tests/fuzz/corpus_main.c clio_fuzz)
set_target_properties(corpus_main PROPERTIES OUTPUT_NAME fuzz_corpus)
add_test(NAME fuzz_corpus COMMAND corpus_main)
set_tests_properties(fuzz_corpus PROPERTIES TIMEOUT 900 LABELS host ENVIRONMENT "${CLIO_TEST_ENVIRONMENT}")
if(CLIO_FUZZ)
    clio_program(${PROJECT_SOURCE_DIR}/tests/fuzz/fuzz_main.c clio_fuzz)
    target_sources(fuzz_main PRIVATE ${PROJECT_SOURCE_DIR}/tests/fuzz/mutate.c)
    target_link_options(fuzz_main PRIVATE -fsanitize=fuzzer)
endif()

file(GLOB programs CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/make_*.c ${PROJECT_SOURCE_DIR}/bench/bench_*.c)
foreach(source IN LISTS programs)
    clio_program(${source} clio_internal clio_places)
endforeach()
foreach(name make_whisper make_diffusers)
    target_sources(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/random_weights.c)
endforeach()

# Layers of the OpenCL loader: libfault.so makes calls fail in a whole command (tests/faults), and libsimulate.so makes the device look like
# another one (tests/simulate). The first comes before the sanitizers' own library, so both are compiled without them; -O2: its malloc jumps
# to theirs and is no frame of a stack.
find_package(Python3 3.8 COMPONENTS Interpreter REQUIRED)
function(clio_opencl_layer name folder)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/${name}*.c)
    add_library(${name} SHARED ${sources} ${PROJECT_SOURCE_DIR}/tests/support/opencl_layer.c)
    set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests C_VISIBILITY_PRESET default)
    target_compile_options(${name} PRIVATE -Wall -Wextra -Wpedantic -Wshadow $<$<BOOL:${CLIO_WERROR}>:-Werror> -O2 -fno-builtin)
    target_link_libraries(${name} PRIVATE Threads::Threads ${CMAKE_DL_LIBS} ${ARGN})
endfunction()

clio_opencl_layer(fault faults)
add_test(NAME test_faults COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/scripts/faults --build ${PROJECT_BINARY_DIR})
set_tests_properties(test_faults PROPERTIES TIMEOUT 900 ENVIRONMENT "${CLIO_TEST_ENVIRONMENT}")

clio_opencl_layer(simulate simulate PkgConfig::CLIO_jansson)
add_test(NAME test_simulated COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/scripts/check-simulated --build ${PROJECT_BINARY_DIR}
    opencl-1.1 big-endian videocore-iv group-64 rejects-needed crashing-compiler)
set_tests_properties(test_simulated PROPERTIES TIMEOUT 900 ENVIRONMENT "${CLIO_TEST_ENVIRONMENT}")
add_dependencies(test_simulate simulate)
