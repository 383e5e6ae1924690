/* SPDX-License-Identifier: Apache-2.0 */
/* auth/login/page_builtin.c - HTML of the built-in pages */

#include "auth/login/page_builtin.h"

/*
 * No script, and no resource of another site.  Contrasts follow WCAG 2.1 AA: 4.5 for text, 3 for
 * the edges of controls.
 */
const char eas_page_builtin_style[] =
    "\n"
    ":root {\n"
    "  color-scheme: light dark;\n"
    "  --back: #eef1f5; --card: #ffffff; --field: #ffffff; --edge: #6b7785;\n"
    "  --line: #d5dbe3; --text: #1b2430; --soft: #505c6b;\n"
    "  --accent: #1a56b8; --hover: #14448f; --on-accent: #ffffff;\n"
    "  --note: #1a56b8; --note-back: #e9f0fb; --alarm: #a4161a; --alarm-back: #fdecec;\n"
    "}\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  :root {\n"
    "    --back: #12171e; --card: #1c232c; --field: #12171e; --edge: #8a96a5;\n"
    "    --line: #38424e; --text: #eef2f6; --soft: #b3bdc9;\n"
    "    --accent: #8ab4f8; --hover: #aecbfa; --on-accent: #0d1a2d;\n"
    "    --note: #8ab4f8; --note-back: #1d2c42; --alarm: #f9a8a8; --alarm-back: #40191c;\n"
    "  }\n"
    "}\n"
    "* { box-sizing: border-box; }\n"
    "body {\n"
    "  margin: 0; padding: .75rem; background: var(--back); color: var(--text);\n"
    "  font: 1rem/1.5 system-ui, -apple-system, \"Segoe UI\", Roboto, sans-serif;\n"
    "}\n"
    "main {\n"
    "  max-width: 24rem; margin: 0 auto; padding: 1.25rem; background: var(--card);\n"
    "  border: 1px solid var(--line); border-radius: .75rem;\n"
    "}\n"
    "h1 { margin: 0 0 1rem; font-size: 1.25rem; line-height: 1.25; overflow-wrap: anywhere; }\n"
    "@media (min-width: 30rem) {\n"
    "  body { padding-top: 4vh; }\n"
    "  main { max-width: 28rem; padding: 2rem; box-shadow: 0 .5rem 2rem rgba(0, 0, 0, .08); }\n"
    "  h1 { font-size: 1.5rem; }\n"
    "}\n"
    "p { margin: 0 0 1.25rem; overflow-wrap: anywhere; }\n"
    "a { color: var(--accent); }\n"
    ".brand { margin-bottom: 1rem; color: var(--soft); font-weight: 600; }\n"
    ".brand img { display: block; max-width: 100%; max-height: 4rem; margin-bottom: .5rem; }\n"
    ".links { max-width: 24rem; margin: 1rem auto 0; text-align: center; }\n"
    ".links a { display: inline-block; padding: .5rem .75rem; }\n"
    ".brand:empty, .links:empty, .hint:empty, .user:empty { display: none; }\n"
    ".message {\n"
    "  padding: .75rem 1rem; border-inline-start: .25rem solid var(--note); border-radius: .25rem;\n"
    "  background: var(--note-back);\n"
    "}\n"
    ".message:empty { display: none; }\n"
    ".wrong, .expired, .not-taken, .try-later, .bad-request, .forbidden, .unavailable {\n"
    "  border-color: var(--alarm); background: var(--alarm-back);\n"
    "}\n"
    ".field { display: block; margin-bottom: .375rem; font-weight: 600; }\n"
    "[type=text], [type=password] {\n"
    "  display: block; width: 100%; min-height: 2.75rem; margin-bottom: 1rem;\n"
    "  padding: .5rem .75rem; border: 1px solid var(--edge); border-radius: .375rem;\n"
    "  background: var(--field); color: inherit; font: inherit;\n"
    "}\n"
    "fieldset { margin: 0 0 1.25rem; padding: 0; border: 0; }\n"
    "legend { margin-bottom: .25rem; padding: 0; font-weight: 600; }\n"
    ".choice { display: flex; gap: .75rem; padding: .375rem 0; }\n"
    ".choice input {\n"
    "  flex: none; width: 1.25rem; height: 1.25rem; margin: .125rem 0 0;\n"
    "  accent-color: var(--accent);\n"
    "}\n"
    ".hint { margin: -.125rem 0 .375rem; overflow-wrap: anywhere; }\n"
    "small { display: block; color: var(--soft); font-size: .875rem; }\n"
    "button {\n"
    "  width: 100%; min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid transparent;\n"
    "  border-radius: .375rem; background: var(--accent); color: var(--on-accent);\n"
    "  font: inherit; font-weight: 600; cursor: pointer;\n"
    "}\n"
    ".button {\n"
    "  display: block; min-height: 2.75rem; margin-top: .75rem; padding: .5rem 1rem;\n"
    "  border: 1px solid var(--edge); border-radius: .375rem; color: var(--text);\n"
    "  font-weight: 600; text-align: center; text-decoration: none;\n"
    "}\n"
    ".go {\n"
    "  border-color: transparent; background: var(--accent); color: var(--on-accent);\n"
    "}\n"
    "button:hover, .go:hover { background: var(--hover); }\n"
    ":focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }\n";

#define HEAD                                                                     \
    "<!DOCTYPE html>\n"                                                          \
    "<html lang=\"{{lang}}\" dir=\"{{dir}}\">\n"                                 \
    "<head>\n"                                                                   \
    "<meta charset=\"utf-8\">\n"                                                 \
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" \
    "<meta name=\"robots\" content=\"noindex\">\n"                               \
    "<style>{{style}}</style>\n"

#define BRAND "<p class=\"brand\">{{logo}}{{organization}}</p>\n"
#define FOOT                             \
    "</main>\n"                          \
    "<p class=\"links\">{{links}}</p>\n" \
    "</body>\n"                          \
    "</html>\n"

const char eas_page_builtin_log_on[] = HEAD
    "<title>{{text.sign_in}} - {{title}}</title>\n"
    "</head>\n"
    "<body>\n"
    "<main>\n" BRAND "<h1>{{title}}</h1>\n"
    "<p id=\"message\" class=\"message {{reason}}\" role=\"alert\">{{message}}</p>\n"
    "<form method=\"post\" action=\"{{action}}\">\n"
    "  <input type=\"hidden\" name=\"token\" value=\"{{token}}\">\n"
    "  <input type=\"hidden\" name=\"destination\" value=\"{{destination}}\">\n"
    "  <label class=\"field\" for=\"username\">{{text.user_name}}</label>\n"
    "  <small id=\"hint\" class=\"hint\">{{name_hint}}</small>\n"
    "  <input id=\"username\" name=\"username\" type=\"text\" value=\"{{username}}\" dir=\"auto\" required\n"
    "    {{focus_username}} autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\"\n"
    "    aria-describedby=\"message hint\">\n"
    "  <label class=\"field\" for=\"password\">{{text.password}}</label>\n"
    "  <input id=\"password\" name=\"password\" type=\"password\" required\n"
    "    {{focus_password}} autocomplete=\"current-password\" aria-describedby=\"message\">\n"
    "  <fieldset>\n"
    "    <legend>{{text.device}}</legend>\n"
    "    <label class=\"choice\">\n"
    "      <input type=\"radio\" name=\"trusted\" value=\"0\" {{checked_public}}>\n"
    "      <span>{{text.public}} <small>{{text.public_note}}</small></span>\n"
    "    </label>\n"
    "    <label class=\"choice\">\n"
    "      <input type=\"radio\" name=\"trusted\" value=\"4\" {{checked_private}}>\n"
    "      <span>{{text.private}} <small>{{text.private_note}}</small></span>\n"
    "    </label>\n"
    "  </fieldset>\n"
    "  <button type=\"submit\">{{text.sign_in}}</button>\n"
    "</form>\n" FOOT;

const char eas_page_builtin_sign_out[] =
    HEAD "<title>{{text.sign_out}} - {{title}}</title>\n"
         "</head>\n"
         "<body>\n"
         "<main>\n" BRAND "<h1>{{title}}</h1>\n"
         "<p>{{message}}</p>\n"
         "<form method=\"post\" action=\"{{action}}\">\n"
         "  <input type=\"hidden\" name=\"token\" value=\"{{token}}\">\n"
         "  <button type=\"submit\" autofocus>{{text.sign_out}}</button>\n"
         "  <a class=\"button\" href=\"{{destination}}\">{{text.stay}}</a>\n"
         "</form>\n" FOOT;

/*
 * Screen readers read the title first.  The button has no focus: a stray key must not sign the user
 * out.
 */
const char eas_page_builtin_refusal[] =
    HEAD "<title>{{message}} - {{title}}</title>\n"
         "</head>\n"
         "<body>\n"
         "<main>\n" BRAND "<h1>{{title}}</h1>\n"
         "<p class=\"message {{reason}}\" role=\"alert\">{{message}}</p>\n"
         "<p class=\"user\">{{signed_in}}</p>\n"
         "{{way_out}}\n" FOOT;

/* The name goes with the passwords, for the password manager of the browser, too. */
const char eas_page_builtin_change[] = HEAD
    "<title>{{text.change_password}} - {{title}}</title>\n"
    "</head>\n"
    "<body>\n"
    "<main>\n" BRAND "<h1>{{text.change_password}}</h1>\n"
    "<p id=\"message\" class=\"message {{reason}}\" role=\"alert\">{{message}}{{detail}}</p>\n"
    "<form method=\"post\" action=\"{{action}}\">\n"
    "  <input type=\"hidden\" name=\"token\" value=\"{{token}}\">\n"
    "  <input type=\"hidden\" name=\"destination\" value=\"{{destination}}\">\n"
    "  <input type=\"hidden\" name=\"trusted\" value=\"{{trusted}}\">\n"
    "  <label class=\"field\" for=\"username\">{{text.user_name}}</label>\n"
    "  <input id=\"username\" name=\"username\" type=\"text\" value=\"{{username}}\" dir=\"auto\" required\n"
    "    {{focus_username}} autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\"\n"
    "    aria-describedby=\"message\">\n"
    "  <label class=\"field\" for=\"password\">{{text.old_password}}</label>\n"
    "  <input id=\"password\" name=\"password\" type=\"password\" required\n"
    "    {{focus_password}} autocomplete=\"current-password\" aria-describedby=\"message\">\n"
    "  <label class=\"field\" for=\"new_password\">{{text.new_password}}</label>\n"
    "  <input id=\"new_password\" name=\"new_password\" type=\"password\" required\n"
    "    autocomplete=\"new-password\" aria-describedby=\"message\">\n"
    "  <label class=\"field\" for=\"new_password_again\">{{text.new_password_again}}</label>\n"
    "  <input id=\"new_password_again\" name=\"new_password_again\" type=\"password\" required\n"
    "    autocomplete=\"new-password\" aria-describedby=\"message\">\n"
    "  <button type=\"submit\">{{text.change_password}}</button>\n"
    "  {{later}}\n"
    "</form>\n" FOOT;
