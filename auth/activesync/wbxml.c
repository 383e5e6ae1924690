/* SPDX-License-Identifier: Apache-2.0 */
/* auth/activesync/wbxml.c - WBXML encoder for a response with a status */

#include "auth/activesync/wbxml.h"

#include <apr_strings.h>
#include <string.h>

/* Version 1.3, public identifier 1, UTF-8, no string table. */
#define HEADER "\x03\x01\x6a"
#define SWITCH_PAGE 0x00
#define END 0x01
#define STR_I 0x03
#define WITH_CONTENT 0x40

/* Code page, token of the command's element, token of Status; [MS-ASWBXML] 2.1.2.1. */
static const struct {
    const char *command;
    unsigned char page, element, status;
} commands[] = {
    { "Sync", 0x00, 0x05, 0x0e },
    { "MoveItems", 0x05, 0x05, 0x0b },
    { "GetItemEstimate", 0x06, 0x05, 0x0e },
    { "FolderCreate", 0x07, 0x13, 0x0c },
    { "FolderDelete", 0x07, 0x14, 0x0c },
    { "FolderUpdate", 0x07, 0x15, 0x0c },
    { "FolderSync", 0x07, 0x16, 0x0c },
    { "MeetingResponse", 0x08, 0x07, 0x0b },
    { "ResolveRecipients", 0x0a, 0x05, 0x07 },
    { "ValidateCert", 0x0b, 0x05, 0x0a },
    { "Ping", 0x0d, 0x05, 0x07 },
    { "Provision", 0x0e, 0x05, 0x0b },
    { "Search", 0x0f, 0x05, 0x0c },
    { "Settings", 0x12, 0x05, 0x06 },
    { "ItemOperations", 0x14, 0x05, 0x0d },
    { "SendMail", 0x15, 0x05, 0x12 },
    { "SmartForward", 0x15, 0x06, 0x12 },
    { "SmartReply", 0x15, 0x07, 0x12 },
    { "Find", 0x19, 0x05, 0x0a },
};

const char *eas_wbxml_status(apr_pool_t *pool, const char *command, int status, apr_size_t *len_out)
{
    const char *text = apr_itoa(pool, status);
    apr_size_t i, n = sizeof(HEADER); /* its NUL is the length of the string table */
    char *body;

    for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].command, command) == 0) {
            break;
        }
    }
    if (i == sizeof(commands) / sizeof(commands[0])) {
        return NULL;
    }
    body = apr_palloc(pool, n + 5 + strlen(text) + 3);
    memcpy(body, HEADER, n);
    body[n++] = SWITCH_PAGE;
    body[n++] = (char)commands[i].page;
    body[n++] = (char)(commands[i].element | WITH_CONTENT);
    body[n++] = (char)(commands[i].status | WITH_CONTENT);
    body[n++] = STR_I;
    memcpy(body + n, text, strlen(text) + 1);
    n += strlen(text) + 1;
    body[n++] = END;
    body[n++] = END;
    *len_out = n;
    return body;
}
