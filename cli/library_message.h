/* library_message.h - error messages of the library in the command's terms: "-W is 100", not "clio_imagine: params.width is 100". */
#ifndef CLIO_CLI_LIBRARY_MESSAGE_H
#define CLIO_CLI_LIBRARY_MESSAGE_H

/* The message without the function's name, with options in the place of parameters; fresh memory. command: its name ("imagine"). */
char *library_message(const char *command, const char *message);

#endif
