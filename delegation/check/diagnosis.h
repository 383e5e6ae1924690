/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/diagnosis.h - from a refusal of the KDC to a finding */

#ifndef EAS_DELEGATION_CHECK_DIAGNOSIS_H
#define EAS_DELEGATION_CHECK_DIAGNOSIS_H

#include "delegation/check/finding.h"

#include <stdbool.h>

/* The exchange that was refused, one bit each. */
enum eas_diagnosis_asked {
    EAS_DIAGNOSIS_LOG_ON = 1 << 0,   /* AS exchange of the gateway's account */
    EAS_DIAGNOSIS_OWN = 1 << 1,      /* the gateway's ticket for itself */
    EAS_DIAGNOSIS_USER = 1 << 2,     /* AS exchange of the user, without a password */
    EAS_DIAGNOSIS_PASSWORD = 1 << 3, /* the same with the password */
    EAS_DIAGNOSIS_SELF = 1 << 4,     /* S4U2Self */
    EAS_DIAGNOSIS_PROXY = 1 << 5     /* S4U2Proxy */
};

/* All that is known of a refusal. */
struct eas_diagnosis {
    enum eas_diagnosis_asked asked;
    int error;         /* error-code of the KRB-ERROR (RFC 4120 7.5.9); -1: there was none */
    unsigned ntstatus; /* of AD in its e-data; 0: none */
    int tag;           /* nnnn of EASnnnn, by which the module refuses; 0: none */
    bool guessed;      /* AS exchange: the KDC refuses a message with the key's proof */

    /* S4U2Proxy */
    bool forwardable;   /* the evidence */
    bool from_password; /* the evidence is from a password, not from S4U2Self */
    bool transition;    /* the configuration has EasKcdProtocolTransition On */
    bool sensitive;     /* the user's PAC says so */
    bool protected_user;
};

/* Never EAS_FINDING_NONE. */
enum eas_finding eas_diagnosis_of(const struct eas_diagnosis *diagnosis);

#endif
