/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/check/finding.h - findings of eas-kcd-check: meanings and cures */

#ifndef EAS_DELEGATION_CHECK_FINDING_H
#define EAS_DELEGATION_CHECK_FINDING_H

#include <apr_pools.h>

enum eas_finding {
    EAS_FINDING_NONE,
#define EAS_FINDING(constant, name, weight, meaning, powershell, samba) EAS_FINDING_##constant,
#include "delegation/check/findings.def"
#undef EAS_FINDING
    EAS_FINDING_COUNT
};

enum eas_finding_weight {
    EAS_FINDING_FAULT,  /* the step has failed */
    EAS_FINDING_WARNING /* the step has passed, with a remark */
};

struct eas_finding_text {
    const char *name;
    enum eas_finding_weight weight;
    const char *meaning;
    const char *powershell; /* commands; "": none */
    const char *samba;
};

/* The names of a step.  NULL: not known. */
struct eas_finding_names {
    const char *account;   /* sAMAccountName of the gateway */
    const char *principal; /* of the gateway */
    const char *user;
    const char *spn;
    const char *host;
    const char *realm;
    const char *keytab;
    const char *kdc;
};

/* The text of a finding, with its names filled in, in pool. */
struct eas_finding_text eas_finding_text(apr_pool_t *pool, enum eas_finding finding,
                                         const struct eas_finding_names *names);

#endif
