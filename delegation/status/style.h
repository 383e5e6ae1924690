/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/status/style.h - style sheet of the status page */

#ifndef EAS_DELEGATION_STATUS_STYLE_H
#define EAS_DELEGATION_STATUS_STYLE_H

/* Contrasts follow WCAG 2.1 AA.  On a narrow screen, each row of a table of
 * cards is a block. */
extern const char eas_style[];

#endif
