/* SPDX-License-Identifier: Apache-2.0 */
/* t/unit/test_services.c - refusals of the KDC: of one user, or of a service for everybody */

#include "t/unit/unit.h"

#include "delegation/services.h"

#define CAS1 "HTTP/cas1"
#define CAS2 "HTTP/cas2"

static void test_service_that_never_gets_tickets(void **state)
{
    struct eas_services *services = eas_services_create(*state);

    assert_true(eas_services_refused(services, CAS1, "alice"));
    assert_true(eas_services_refused(services, CAS1, "alice"));
}

/* However often: one account takes no service from the others. */
static void test_refusal_of_one_user(void **state)
{
    struct eas_services *services = eas_services_create(*state);
    int i;

    eas_services_issued(services, CAS1);
    for (i = 0; i < 10; i++) {
        assert_false(eas_services_refused(services, CAS1, "mallory"));
    }
    eas_services_issued(services, CAS1);
    assert_false(eas_services_refused(services, CAS1, "alice"));
}

static void test_refusal_of_two_users(void **state)
{
    struct eas_services *services = eas_services_create(*state);

    eas_services_issued(services, CAS1);
    assert_false(eas_services_refused(services, CAS1, "alice"));
    assert_true(eas_services_refused(services, CAS1, "bob"));
    assert_true(eas_services_refused(services, CAS1, "bob"));
    assert_true(eas_services_refused(services, CAS1, "alice"));
    eas_services_issued(services, CAS1);
    assert_false(eas_services_refused(services, CAS1, "bob"));
}

/* A name from another module has the letter case of its client. */
static void test_spellings_of_one_user(void **state)
{
    struct eas_services *services = eas_services_create(*state);

    eas_services_issued(services, CAS1);
    assert_false(eas_services_refused(services, CAS1, "mallory@EXAMPLE.COM"));
    assert_false(eas_services_refused(services, CAS1, "Mallory@EXAMPLE.COM"));
    assert_false(eas_services_refused(services, CAS1, "MALLORY@EXAMPLE.COM"));
    assert_true(eas_services_refused(services, CAS1, "alice@EXAMPLE.COM"));
}

static void test_services_are_apart(void **state)
{
    struct eas_services *services = eas_services_create(*state);

    eas_services_issued(services, CAS1);
    assert_true(eas_services_refused(services, CAS2, "alice"));
    assert_false(eas_services_refused(services, CAS1, "bob"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(test_service_that_never_gets_tickets),
        POOL_TEST(test_refusal_of_one_user),
        POOL_TEST(test_refusal_of_two_users),
        POOL_TEST(test_spellings_of_one_user),
        POOL_TEST(test_services_are_apart),
    };

    return cmocka_run_group_tests(tests, unit_start, unit_end);
}
