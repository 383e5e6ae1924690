/* SPDX-License-Identifier: Apache-2.0 */
/* delegation/kerberos/message.c - elements of Kerberos' messages, as DER (RFC 4120 section 5) */

#include "delegation/kerberos/message.h"

#include <apr_time.h>
#include <stdint.h>

void eas_message_put_integer(struct eas_der *der, unsigned n, krb5_int32 value)
{
    const unsigned char *end = der->at;

    eas_der_put_integer(der, value);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(n));
}

void eas_message_put_octets(struct eas_der *der, unsigned n, unsigned tag, const void *bytes,
                            apr_size_t len)
{
    const unsigned char *end = der->at;

    eas_der_put_element(der, tag, bytes, len);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(n));
}

static void put_digits(char *text, int n, int value)
{
    for (; n > 0; n--, value /= 10) {
        text[n - 1] = (char)('0' + value % 10);
    }
}

void eas_message_time(krb5_timestamp when, char out[EAS_MESSAGE_TIME_SIZE])
{
    apr_time_exp_t tm;

    /* Unsigned, as in libkrb5: times after 2038 are negative otherwise. */
    apr_time_exp_gmt(&tm, apr_time_from_sec((apr_time_t)(uint32_t)when));
    put_digits(out, 4, tm.tm_year + 1900);
    put_digits(out + 4, 2, tm.tm_mon + 1);
    put_digits(out + 6, 2, tm.tm_mday);
    put_digits(out + 8, 2, tm.tm_hour);
    put_digits(out + 10, 2, tm.tm_min);
    put_digits(out + 12, 2, tm.tm_sec);
    out[14] = 'Z';
}

void eas_message_put_time(struct eas_der *der, unsigned n, krb5_timestamp when)
{
    char text[EAS_MESSAGE_TIME_SIZE];

    eas_message_time(when, text);
    eas_message_put_octets(der, n, EAS_DER_GENERALIZED_TIME, text, sizeof(text));
}

void eas_message_put_typed(struct eas_der *der, unsigned n, krb5_int32 type, const void *bytes,
                           apr_size_t len)
{
    const unsigned char *end = der->at;

    eas_message_put_octets(der, 1, EAS_DER_OCTET_STRING, bytes, len);
    eas_message_put_integer(der, 0, type);
    eas_der_wrap(der, end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(n));
}

void eas_message_put_name(struct eas_der *der, unsigned n, krb5_const_principal name)
{
    const unsigned char *end = der->at;
    int i;

    for (i = name->length - 1; i >= 0; i--) {
        eas_der_put_element(der, EAS_DER_GENERAL_STRING, name->data[i].data, name->data[i].length);
    }
    eas_der_wrap(der, end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(1));
    eas_message_put_integer(der, 0, name->type);
    eas_der_wrap(der, end, EAS_DER_SEQUENCE);
    eas_der_wrap(der, end, EAS_DER_CONTEXT(n));
}

void eas_message_put_realm(struct eas_der *der, unsigned n, krb5_const_principal name)
{
    eas_message_put_octets(der, n, EAS_DER_GENERAL_STRING, name->realm.data, name->realm.length);
}
