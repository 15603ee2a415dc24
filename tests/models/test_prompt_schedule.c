/* test_prompt_schedule.c - prompt_schedule.c: schedules, alternation and AND as in A1111 (the examples of its prompt_parser.py are here,
 * with their differences that prompt_schedule.h names), and the LoRAs that a prompt names (prompt_loras.c). */
#include "../support/test_own.h"

#include "../../models/pipelines/prompt_loras.h"
#include "../../models/pipelines/prompt_schedule.h"

/* The texts of all steps of a prompt of one part, runs of equal ones as "3*text", joined by "; ". */
static void expect_steps(const char *text, int steps, const char *want, int line)
{
    struct prompt_plan plan;
    struct bytes got = {0};
    OK(prompt_plan_read(ctx, &plan, text, steps, true));
    assert_int_equal(plan.count, 1);
    assert_true(plan.list[0].weight == 1);
    for (int i = 0; i < steps;) {
        int n = 1;
        while (i + n < steps && plan.list[0].at[i + n] == plan.list[0].at[i])
            n++;
        OK(bytes_print(ctx, &got, "%s%d*%s", i ? "; " : "", n, plan.list[0].texts[plan.list[0].at[i]]));
        i += n;
    }
    if (strcmp(got.data, want) != 0)
        fail_msg("line %d: \"%s\" is \"%s\", expected \"%s\"", line, text, got.data, want);
    bytes_free(&got);
    prompt_plan_free(&plan);
}
#define STEPS(text, steps, want) expect_steps((text), (steps), (want), __LINE__)

static void schedules(void **state)
{
    (void)state;
    STEPS("test", 10, "10*test");
    STEPS("", 3, "3*");
    STEPS("a [b:3]", 10, "3*a ; 7*a b");
    STEPS("a [b: 3]", 10, "3*a ; 7*a b");
    STEPS("a [b:3 ]", 10, "3*a ; 7*a b");
    STEPS("a [[[b]]:2]", 10, "2*a ; 8*a [[b]]");
    STEPS("[(a:2):3]", 10, "3*; 7*(a:2)");
    STEPS("a [b : c : 1] d", 10, "1*a b  d; 9*a  c  d");
    STEPS("a[b:[c:d:2]:1]e", 10, "1*abe; 1*ace; 8*ade");
    STEPS("a [unbalanced", 10, "10*a [unbalanced");
    STEPS("a [b:.5] c", 10, "5*a  c; 5*a b c");
    STEPS("((a][:b:c [d:3]", 10, "3*((a][:b:c ; 7*((a][:b:c d");
    STEPS("a [b::6]", 10, "6*a b; 4*a ");
    STEPS("[mountain:lake:0.25]", 20, "5*mountain; 15*lake");
    STEPS("[a:b:0.5][c:d:0.75]", 4, "2*ac; 1*bc; 1*bd");
    STEPS("[a:b:0]", 3, "3*b");
    STEPS("[a:b:0.0]", 3, "3*b");
    STEPS("[a:b:1]", 3, "1*a; 2*b"); /* a step; */
    STEPS("[a:b:1.0]", 3, "3*a");    /* all steps */
    STEPS("[a:b:7]", 3, "3*a");      /* never */
    STEPS("[a:b:-2]", 3, "3*b");
    STEPS("[a:b:0.99]", 10, "9*a; 1*b"); /* rounded down */
}

static void alternation(void **state)
{
    (void)state;
    STEPS("[a|b]", 5, "1*a; 1*b; 1*a; 1*b; 1*a");
    STEPS("x [a|b|c] y", 4, "1*x a y; 1*x b y; 1*x c y; 1*x a y");
    STEPS("[a|(b:1.1)]", 2, "1*a; 1*(b:1.1)");
    STEPS("[a|]", 3, "1*a; 1*; 1*a");
    STEPS("[[a|b]|c]", 4, "1*a; 1*c; 1*a; 1*c");
    STEPS("[a|b:2]", 2, "2*[a|b:2]"); /* neither the one nor the other */
    STEPS("a | b [c:2]", 3, "2*a | b ; 1*a | b c");
}

static void plain_brackets(void **state)
{
    (void)state;
    STEPS("[a]", 2, "2*[a]");
    STEPS("[a:b]", 2, "2*[a:b]");
    STEPS("[a:b:c:1]", 2, "2*[a:b:c:1]");
    STEPS("[a:b:1.2.3]", 2, "2*[a:b:1.2.3]");
    STEPS("[a:b:]", 2, "2*[a:b:]");
    STEPS("\\[a:b:1\\]", 2, "2*\\[a:b:1\\]");
    STEPS("[a\\:b:1]", 2, "1*; 1*a\\:b");
    STEPS("[(a:1]", 2, "2*[(a:1]"); /* brackets that do not pair */
    STEPS("([a:1)]", 2, "2*([a:1)]");
    STEPS("[x(a] b):1]", 2, "2*[x(a] b):1]");
    STEPS("(a:1.2) [b:1]", 2, "1*(a:1.2) ; 1*(a:1.2) b");
    STEPS("a\\", 1, "1*a\\");
    char deep[4 * 150 + 1] = "";
    for (int i = 0; i < 150; i++)
        strcat(deep, "[");
    for (int i = 0; i < 150; i++)
        strcat(deep, ":0]");
    struct prompt_plan plan;
    FAILS(prompt_plan_read(ctx, &plan, deep, 2, true), CLIO_ERROR_ARGUMENT, "more than 100 schedules");
    assert_null(plan.list);
}

static void equal_texts_are_one(void **state)
{
    (void)state;
    struct prompt_plan plan;
    OK(prompt_plan_read(ctx, &plan, "[a|b|a|c]", 8, false));
    assert_int_equal(plan.list[0].count, 3);
    assert_true(plan.list[0].at[0] == 0 && plan.list[0].at[2] == 0 && plan.list[0].at[3] == 2 && plan.list[0].at[7] == 2);
    prompt_plan_free(&plan);
}

static void composed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int count;
        const char *parts[3];
        double weights[3];
    } cases[] = {
        {"a AND b", 2, {"a ", " b"}, {1, 1}},
        {"a :1.2 AND b: 0.5 ", 2, {"a ", " b"}, {1.2, 0.5}},
        {"a:-1 AND b AND c :.5", 3, {"a", " b ", " c "}, {-1, 1, 0.5}},
        {"(a:1.2) AND b", 2, {"(a:1.2) ", " b"}, {1, 1}},
        {"a:1.2:3 AND b", 2, {"a:1.2", " b"}, {3, 1}},
        {"a:b AND c", 2, {"a:b ", " c"}, {1, 1}},
        {"aAND b", 1, {"aAND b"}, {1}},
        {"a and b", 1, {"a and b"}, {1}},
        {"ANDROID", 1, {"ANDROID"}, {1}},
        {"a :1.2", 1, {"a :1.2"}, {1}},
        {"AND", 2, {"", ""}, {1, 1}},
        {"a,AND,b", 2, {"a,", ",b"}, {1, 1}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct prompt_plan plan;
        OK(prompt_plan_read(ctx, &plan, cases[i].text, 4, true));
        if (plan.count != cases[i].count)
            fail_msg("\"%s\" has %d parts", cases[i].text, plan.count);
        for (int k = 0; k < plan.count; k++)
            if (strcmp(plan.list[k].texts[0], cases[i].parts[k]) != 0 || plan.list[k].weight != cases[i].weights[k])
                fail_msg("\"%s\": part %d is \"%s\" x %g", cases[i].text, k, plan.list[k].texts[0], plan.list[k].weight);
        prompt_plan_free(&plan);
    }
    struct prompt_plan plan;
    OK(prompt_plan_read(ctx, &plan, "a :2 AND b", 4, false)); /* as in a negative prompt */
    assert_true(plan.count == 1 && !strcmp(plan.list[0].texts[0], "a :2 AND b"));
    prompt_plan_free(&plan);
}

/* ---- LoRAs ---- */

static void expect_loras(const char *text, const char *plain, const char *want)
{
    struct lora_names names = {.dir = folder};
    struct bytes rest = {0}, list = {0};
    OK(prompt_loras_take(ctx, text, false, &names, &rest));
    OK(bytes_add(ctx, &list, "", 0));
    for (size_t i = 0; i < names.count; i++) {
        assert_int_equal(strncmp(names.list[i].path, folder, strlen(folder)), 0);
        const struct lora_choice *c = &names.list[i];
        OK(bytes_print(ctx, &list, "%s*%g", c->path + strlen(folder) + 1, (double)c->unet));
        OK(c->text_encoder == c->unet ? bytes_print(ctx, &list, " ") : bytes_print(ctx, &list, "(te %g) ", (double)c->text_encoder));
    }
    assert_string_equal(rest.data, plain);
    assert_string_equal(list.data, want);
    bytes_free(&rest);
    bytes_free(&list);
    lora_choices_free(names.list, names.count);
}

static void loras(void **state)
{
    (void)state;
    mkdir(in_folder("sub"), 0700);
    put_text("style.safetensors", "x");
    put_text("LOUD.SafeTensors", "x");
    put_text("v1.5.safetensors", "x");
    put_text("sub/inner.safetensors", "x");
    put_text("old.ckpt", "x");
    expect_loras("a fox", "a fox", "");
    expect_loras("a <lora:style:0.8> fox", "a  fox", "style.safetensors*0.8 ");
    expect_loras("<lora:style><lyco:LOUD:-.5>x", "x", "style.safetensors*1 LOUD.SafeTensors*-0.5 ");
    expect_loras("<lora:style: 2 ><lora:style:0.5>", "", "style.safetensors*2 style.safetensors*0.5 ");
    expect_loras("<lora:style:0.5:0.8>", "", "style.safetensors*0.8(te 0.5) "); /* text encoder, UNet, as in stable-diffusion-webui */
    expect_loras("<lora:style: 0.5 : -2 >", "", "style.safetensors*-2(te 0.5) ");
    expect_loras("<lora:style:te=0.5:unet=0.8>", "", "style.safetensors*0.8(te 0.5) ");
    expect_loras("<lora:style:unet=0.8:te=0.5>", "", "style.safetensors*0.8(te 0.5) ");
    expect_loras("<lora:style:unet=0.8>", "", "style.safetensors*0.8(te 1) ");
    expect_loras("<lora:style:te=0.5>", "", "style.safetensors*0.5 ");
    expect_loras("<lora:style:0.3:unet=0>", "", "style.safetensors*0(te 0.3) ");
    expect_loras("<lora:style:0.3:0.4:te=0.5:unet=0.6>", "", "style.safetensors*0.6(te 0.5) ");
    expect_loras("<lora:v1.5:1><lora:v1.5.safetensors:1>", "", "v1.5.safetensors*1 v1.5.safetensors*1 ");
    expect_loras("<lora:sub/inner:1>", "", "sub/inner.safetensors*1 ");
    expect_loras("a < b > c <cat> <lora", "a < b > c <cat> <lora", "");

    struct lora_names names = {.dir = folder};
    struct bytes rest = {0};
#define REFUSES(text, is_negative, code, part)                                                                                             \
    do {                                                                                                                                   \
        FAILS(prompt_loras_take(ctx, text, is_negative, &names, &rest), code, part);                                                       \
        rest.size = 0;                                                                                                                     \
    } while (0)
    REFUSES("<lora:none:1>", false, CLIO_ERROR_FILE, "the prompt names the LoRA \"none\"");
    REFUSES("<lora:none:1>", false, CLIO_ERROR_FILE, "has no none.safetensors: check the name");
    REFUSES("<lora:STYLE:1>", false, CLIO_ERROR_FILE, "STYLE");
    REFUSES("<lora:old:1>", false, CLIO_ERROR_FILE, "has no old.safetensors");
    REFUSES("<lora:style:much>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>, such as <lora:style:0.8>");
    REFUSES("<lora:style:>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>");
    REFUSES("<lora:style:0.5:0.8:8>", false, CLIO_ERROR_ARGUMENT, "or <lora:NAME:TEXT_ENCODER:UNET> with two strengths");
    REFUSES("<lora:style:0.5:>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>");
    REFUSES("<lora:style::0.5>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>");
    REFUSES("<lora:style:te=>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>");
    REFUSES("<lora:style:dyn=8>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>");
    REFUSES("<lora:style:0.5:1001>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>");
    REFUSES("<lora:style:1001>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>");
    REFUSES("<lora::1>", false, CLIO_ERROR_ARGUMENT, "write <lora:NAME:STRENGTH>");
    REFUSES("<lora:../style:1>", false, CLIO_ERROR_ARGUMENT, "is outside");
    REFUSES("<lora:sub/../../style:1>", false, CLIO_ERROR_ARGUMENT, "is outside");
    REFUSES("<lora:/etc/style:1>", false, CLIO_ERROR_ARGUMENT, "is outside");
    REFUSES("<hypernet:style:1>", false, CLIO_ERROR_UNSUPPORTED, "hypernetwork");
    REFUSES("<lora:style:1>", true, CLIO_ERROR_ARGUMENT, "params.negative_prompt has \"<lora:style:1>\"");
    names.dir = NULL;
    REFUSES("<lora:style:1>", false, CLIO_ERROR_ARGUMENT, "params.lora_dir is not set");
    assert_int_equal(names.count, 0);
    lora_choices_free(names.list, names.count);
    bytes_free(&rest);
}

static void equal_choices(void **state)
{
    (void)state;
    char a[] = "a", b[] = "b";
    struct lora_choice list[] = {{a, 1, 1}, {b, 0.5f, 0.5f}}, other[] = {{a, 1, 1}, {b, 0.5f, 0.25f}},
                       third[] = {{a, 1, 1}, {b, 0.25f, 0.5f}};
    assert_true(lora_names_equal(&(struct lora_names){.list = list, .count = 2}, list, 2));
    assert_false(lora_names_equal(&(struct lora_names){.list = list, .count = 2}, other, 2));
    assert_false(lora_names_equal(&(struct lora_names){.list = list, .count = 2}, third, 2));
    assert_false(lora_names_equal(&(struct lora_names){.list = list, .count = 2}, list, 1));
    assert_true(lora_names_equal(&(struct lora_names){0}, NULL, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(schedules, set_up, tear_down),
        cmocka_unit_test_setup_teardown(alternation, set_up, tear_down),
        cmocka_unit_test_setup_teardown(plain_brackets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_texts_are_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(composed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(loras, set_up, tear_down),
        cmocka_unit_test_setup_teardown(equal_choices, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
