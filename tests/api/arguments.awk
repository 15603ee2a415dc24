# arguments.awk - makes from clio.h a program that calls every public function with wrong arguments: see arguments.h, its other half.
#
#     awk -f arguments.awk arguments.h clio.h > test_api_arguments.c
#
# In turn each pointer is NULL, each string empty and each number below, above and far outside its range, in parameters and in the fields of
# structs that they point at; the other arguments are valid. What must be refused and what is allowed is read from the comments of clio.h:
#     "name NULL", "name NULL or \"\""   before a function: parameter `name` may be NULL (or empty); otherwise it is refused
#     "name NULL: NULL|0|\"\"|zeros|nothing"   of a function without a status: what it returns then
#     "name: 1 to 10", "name: 0 or more", "name: any"   the range of a number; every int, size_t, float and double needs one
#     the same without the name behind a field of a struct; a field whose comment begins with "1" is a flag, of which any value is allowed
# A declaration, type or range that is not understood ends this program with 1: clio.h cannot grow past the test.

function stop(text) { print "arguments.awk: " text > "/dev/stderr"; failed = 1; exit 1 }
function trim(s) { gsub(/[ \t\n]+/, " ", s); sub(/^ /, "", s); sub(/ $/, "", s); return s }
# Whether a comment has the word `name` before a space or colon; found is what comes behind it, or "".
function behind(comment, name,    at, before, s) {
    s = comment
    while (at = index(s, name)) {
        before = at > 1 ? substr(s, at - 1, 1) : " "
        s = substr(s, at + length(name))
        if (before ~ /[ (*`]/ && s ~ /^[: ]/) { found = s; return 1 }
    }
    found = ""
    return 0
}
# Whether a comment allows NULL for a name, or for a field (name "").
function allows_null(comment, name,    s) {
    if (name == "") return comment ~ /NULL/
    s = comment
    while (behind(s, name)) { if (found ~ /^ NULL/) return 1; s = " " found }
    return 0
}
function allows_empty(comment, name,    s) {
    if (name == "") return comment ~ /""/
    s = comment
    while (behind(s, name)) { if (found ~ /^ (NULL or )?""/) return 1; s = " " found }
    return 0
}
# Sets least and most ("" without one) from the range in a comment; 0 where there is none.
function range(comment, name,    s, number) {
    number = "-?[0-9][0-9.e]*"
    least = most = ""
    s = comment
    if (name != "") {
        while (behind(s, name)) { if (found ~ ("^:? (any|" number " (to|or) )")) break; s = " " found }
        s = found
        if (s !~ ("^:? (any|" number " (to|or) )")) return 0
        sub(/^:? /, "", s)
        if (s ~ /^any/) return 1
    }
    if (match(s, number " to " number)) {
        s = substr(s, RSTART, RLENGTH)
        least = s; sub(/ to .*/, "", least)
        most = s; sub(/.* to /, "", most); sub(/\.$/, "", most)
        return 1
    }
    if (match(s, number " or more")) { least = substr(s, RSTART, RLENGTH - 8); return 1 }
    return name == "" && (s ~ /^1[:,]/ || s ~ /any number/)
}

# ---- reading clio.h ----

FNR == 1 { file++ }
file == 1 { # which valid values arguments.h has
    while (match($0, /valid_[a-z_]+/)) { valid[substr($0, RSTART + 6, RLENGTH - 6)] = 1; $0 = substr($0, RSTART + RLENGTH) }
    next
}
/^[ \t]*#/ || /extern "C"/ { next }
/^}$/ { next } # of extern "C"
{ text = text $0 "\n" }

# A struct's field, or several of one type: "double offset, duration".
function add_field(type_name, code,    names, n, i, k, base, one) {
    if (code ~ /\(/) stop("struct " type_name ": field " code " is not understood")
    n = split(code, names, ",")
    base = trim(names[1])
    if (!match(base, /[A-Za-z_0-9]+(\[[0-9]+\])?$/)) stop("field " code)
    names[1] = substr(base, RSTART)
    base = trim(substr(base, 1, RSTART - 1))
    for (i = 1; i <= n; i++) {
        one = trim(names[i])
        k = ++fields[type_name]
        field_type[type_name, k] = base
        if (one ~ /^\*/) { sub(/^\*/, "", one); if (base !~ /\*$/) stop("field " code) }
        field_name[type_name, k] = one
    }
    newest = fields[type_name] - n + 1
}
function add_function(code, comment,    head, list, n, i, k, p) {
    sub(/^CLIO_API /, "", code)
    if (code !~ /^[^()]+\([^()]*\)$/) stop("declaration not understood: " code)
    head = code; sub(/\(.*/, "", head)
    list = code; sub(/^[^(]*\(/, "", list); sub(/\)$/, "", list)
    if (!match(head, /clio_[a-z0-9_]+$/)) stop("declaration not understood: " code)
    k = ++functions
    name_of[k] = substr(head, RSTART)
    returns[k] = trim(substr(head, 1, RSTART - 1))
    comments[k] = comment
    if (comment == "") stop(name_of[k] " has no comment")
    if (trim(list) == "void") return
    n = split(list, p, ",")
    for (i = 1; i <= n; i++) {
        p[i] = trim(p[i])
        if (!match(p[i], /[a-z_0-9]+$/)) stop(name_of[k] ": parameter " p[i])
        parameter[k, i] = substr(p[i], RSTART)
        type_of[k, i] = trim(substr(p[i], 1, RSTART - 1))
    }
    parameters[k] = n
}
function statement(code,    n) {
    code = trim(code)
    if (code == "") return
    if (inside != "") { if (!is_enum) add_field(inside, code); return }
    if (code ~ /^CLIO_API /) { add_function(code, last_comment); return }
    if (code ~ /^typedef struct clio_[a-z_]+ clio_[a-z_]+$/) { n = code; sub(/.* /, "", n); opaque[n] = 1; return }
    if (code ~ /^typedef (int|void) \(\*clio_[a-z_]+_fn\)\(/) { n = code; sub(/^typedef (int|void) \(\*/, "", n); sub(/\).*/, "", n); callback[n] = 1; return }
    if (closed && code ~ /^clio_[a-z_]+$/) { closed = 0; return }
    stop("not understood: " code)
}
function read_all(    at, c, code, s) {
    while (length(text)) {
        if (match(text, /^[^;{}\/]+/)) { code = code substr(text, 1, RLENGTH); text = substr(text, RLENGTH + 1); continue }
        c = substr(text, 1, 1)
        if (substr(text, 1, 2) == "/*") {
            at = index(text, "*/")
            s = substr(text, 3, at - 3)
            gsub(/\n *\*?/, " ", s)
            if (inside != "") { for (c = newest; c && c <= fields[inside]; c++) field_comment[inside, c] = field_comment[inside, c] " " trim(s) }
            else if (trim(code) == "") last_comment = trim(s)
            else stop("a comment within: " code)
            text = substr(text, at + 2)
            continue
        }
        text = substr(text, 2)
        if (c == ";") { if (is_enum && inside != "") stop("enum"); statement(code); closed = 0; code = "" }
        else if (c == "{") {
            if (match(code, /typedef struct clio_[a-z_]+/)) { inside = substr(code, RSTART + 15, RLENGTH - 15); is_struct[inside] = 1 }
            else if (code ~ /enum/) { inside = "enum"; is_enum = 1 }
            else stop("not understood: " code)
            newest = 0
            code = ""
        } else if (c == "}") {
            if (!is_enum && trim(code) != "") stop("not understood: " code)
            inside = ""; is_enum = 0; closed = 1; code = ""
        } else code = code c
    }
    if (trim(code) != "") stop("left over: " code)
}

# ---- writing the tests ----

function is_number(type) { return type ~ /^(int|size_t|float|double|int64_t|uint64_t|clio_status)$/ }
function struct_of(type) { sub(/^const /, "", type); sub(/ \*$/, "", type); return is_struct[type] ? type : "" }
function initial(struct) { return struct in valid ? "valid_" struct "()" : "{0}" }
# One call that must be refused, naming `path`, or that is allowed: then it may fail, but not because of `path`. "attempt": either.
function call(verb, path,    i, list, k) {
    k = current
    for (i = 1; i <= parameters[k]; i++) list = list (i > 1 ? ", " : "") "p_" parameter[k, i]
    cases++
    if (returns[k] == "void") { printf "    %s(%s);\n", name_of[k], list; return }
    if (returns[k] != "clio_status") {
        printf "    { %s%sr = %s(%s); (void)r; %s }\n", returns[k], (returns[k] ~ /\*$/ ? "" : " "), name_of[k], list, expected
        return
    }
    for (i = 1; i <= parameters[k]; i++) # a refused call must leave NULL and 0 in its outputs
        if (verb == "refuse" && is_out(k, i))
            printf "    if (p_%s) *p_%s = %s;\n", parameter[k, i], parameter[k, i], type_of[k, i] ~ /\*\*$/ ? "(void *)&arguments_shared" : "77"
    printf "    %s(%s(%s), %s, \"%s\", \"%s\");\n", verb, name_of[k], list, context, name_of[k], path
    for (i = 1; i <= parameters[k]; i++) {
        if (verb == "refuse" && is_out(k, i)) printf "    is_true(!p_%s || !*p_%s, \"%s\", \"%s\");\n", parameter[k, i], parameter[k, i], name_of[k], path
        if (verb != "refuse" && (type_of[k, i] in freed_by))
            printf "    if (p_%s) { %s(*p_%s); *p_%s = NULL; }\n", parameter[k, i], freed_by[type_of[k, i]], parameter[k, i], parameter[k, i]
    }
}
function vary(verb, lvalue, type, value, path) {
    printf "    { %s%skeep = %s; %s = %s;\n", type, (type ~ /\*$/ ? "" : " "), lvalue, lvalue, value
    call(verb, path)
    printf "    %s = keep; }\n", lvalue
}
function vary_number(lvalue, type, comment, name, path,    above, below) {
    if (!range(comment, name) && type !~ /^(u?int64_t|clio_status)$/) stop(name_of[current] ": " path " has no range in its comment")
    if (type ~ /^(float|double)$/) {
        if (least == "" || most == "") stop(name_of[current] ": " path " needs a range with both ends")
        vary("refuse", lvalue, type, "NAN", path); vary("refuse", lvalue, type, "INFINITY", path); vary("refuse", lvalue, type, "-INFINITY", path)
        vary("refuse", lvalue, type, "(" type ")(" least ") - 1", path); vary("refuse", lvalue, type, "(" type ")(" most ") + 1", path)
        return
    }
    if (type == "clio_status") { vary("allow", lvalue, type, "(clio_status)-1", path); vary("allow", lvalue, type, "(clio_status)1000", path); return }
    if (type == "size_t" || type == "uint64_t") {
        if (least + 0 > 0) vary("refuse", lvalue, type, least " - 1", path)
        if (most != "") vary("refuse", lvalue, type, "(" type ")" most "ULL + 1", path)
        vary(most != "" ? "refuse" : "allow", lvalue, type, type == "size_t" ? "SIZE_MAX" : "UINT64_MAX", path)
        return
    }
    above = type == "int" ? "INT_MAX" : "INT64_MAX"; below = type == "int" ? "INT_MIN" : "INT64_MIN"
    if (least != "") vary("refuse", lvalue, type, least " - 1", path)
    vary(least != "" ? "refuse" : "allow", lvalue, type, below, path)
    if (most != "") vary("refuse", lvalue, type, most " + 1", path)
    vary(most != "" ? "refuse" : type == "int" && least != "" ? "attempt" : "allow", lvalue, type, above, path)
    if (least == "") vary("allow", lvalue, type, "-1", path)
}
function vary_string(lvalue, comment, name, path) {
    vary(allows_null(comment, name) ? "allow" : "refuse", lvalue, "const char *", "NULL", path)
    vary(allows_empty(comment, name) ? "allow" : "refuse", lvalue, "const char *", "\"\"", path)
}
# A pointer to structs: one, or as many as `count` says (its lvalue and path; "" for one).
function vary_struct(lvalue, type, comment, name, path, count, count_path,    struct, e) {
    struct = struct_of(type)
    e = "e" (++elements)
    printf "    { %s %s = %s; %s%s = %s;\n", struct, e, initial(struct), type, e "_keep", lvalue
    if (count != "") printf "    size_t %s_count = %s;\n", e, count
    if (count != "") printf "    %s = 1;\n", count
    if (count != "" && allows_null(comment, name)) {
        printf "    %s = 0;\n", count; vary("allow", lvalue, type, "NULL", path); printf "    %s = 1;\n", count
        vary("refuse", lvalue, type, "NULL", path)
    } else
        vary(allows_null(comment, name) ? "allow" : "refuse", lvalue, type, "NULL", path)
    printf "    %s = &%s;\n", lvalue, e
    vary_fields(struct, e ".", path (count != "" ? "[0]." : "."))
    printf "    %s = %s_keep;\n", lvalue, e
    if (count != "") printf "    %s = %s_count;\n", count, e
    print "    }"
}
function vary_fields(struct, lvalue, path,    i, type, name, comment) {
    for (i = 1; i <= fields[struct]; i++) {
        type = field_type[struct, i]; name = field_name[struct, i]; comment = trim(field_comment[struct, i])
        if (is_number(type)) vary_number(lvalue name, type, comment, "", path name)
        else if (type == "const char *") vary_string(lvalue name, comment, "", path name)
        else if (type == "void *") continue
        else if (type in callback || type ~ /^const (unsigned char|float|int|double) \*$/)
            vary(allows_null(comment, "") ? "allow" : "refuse", lvalue name, type in callback ? type : type, "NULL", path name)
        else if (type in is_struct) vary_fields(type, lvalue name ".", path name ".")
        else if (struct_of(type) != "" && type ~ /^const /) {
            if (field_type[struct, i + 1] == "size_t")
                vary_struct(lvalue name, type, comment, "", path name, lvalue field_name[struct, i + 1], path field_name[struct, i + 1])
            else vary_struct(lvalue name, type, comment, "", path name, "", "")
        } else stop("struct " struct ": field " name " has a type that is not understood: " type)
    }
}
# What a function without a status returns for a NULL parameter.
function expect(k, name,    s, value) {
    s = comments[k]
    while (behind(s, name)) { if (found ~ /^ NULL( or "")?: /) break; s = " " found }
    if (found !~ /^ NULL( or "")?: /) stop(name_of[k] ": the comment does not say what it does when " name " is NULL")
    value = found; sub(/^ NULL( or "")?: /, "", value); sub(/[.;,].*/, "", value)
    if (returns[k] == "void" || value == "not wanted") return ""
    if (value == "NULL") return "is_true(r == NULL, \"" name_of[k] "\", \"" name "\");"
    if (value == "0") return "is_true(r == 0, \"" name_of[k] "\", \"" name "\");"
    if (value == "zeros") return "static const " returns[k] " zeros; is_true(!memcmp(&r, &zeros, sizeof r), \"" name_of[k] "\", \"" name "\");"
    if (value == "\"\"") return "is_true(r && !*r, \"" name_of[k] "\", \"" name "\");"
    if (returns[k] ~ /\*$/) return "is_true(r != NULL, \"" name_of[k] "\", \"" name "\");"
    stop(name_of[k] ": what it returns when " name " is NULL is not understood: " value)
}

function declare(k,    i, type, name, base) {
    for (i = 1; i <= parameters[k]; i++) {
        type = type_of[k, i]; name = "p_" parameter[k, i]; base = type
        sub(/^const /, "", base); sub(/ \*+$/, "", base)
        if (base == "clio_context" && type ~ /[^*] \*$/) printf "    %s%s = ctx;\n", type, name
        else if (type ~ / \*\*$/) printf "    %so_%s = NULL; %s%s = &o_%s;\n", substr(type, 1, length(type) - 1), name, type, name, name
        else if (type ~ /^const (char|float|int|double) \*$/ && allows_null(comments[k], parameter[k, i])) printf "    %s%s = NULL;\n", type, name
        else if (type == "const char *") printf "    %s%s = \"/nonexistent/clio\";\n", type, name
        else if (type == "const char *const *") printf "    static const char *const o_%s[] = {\"/nonexistent/clio\"}; %s%s = o_%s;\n", name, type, name, name
        else if (type ~ /^clio_[a-z_]+ \*const \*$/) { # a list of models
            base = type; sub(/ \*const \*$/, "", base)
            if (!(base in valid)) stop("arguments.h needs valid_" base)
            printf "    %s *o_%s[1] = {valid_%s}; %s%s = o_%s;\n", base, name, base, type, name, name
        } else if (opaque[base] && type ~ /^clio_|^const clio_/) {
            if (!(base in valid)) stop("arguments.h needs valid_" base)
            printf "    %s%s = valid_%s;\n", type, name, base
        } else if (struct_of(type) != "") printf "    %s o_%s = %s; %s%s = &o_%s;\n", base, name, initial(base), type, name, name
        else if (type ~ /^const (float|int|double) \*$/) printf "    static %s o_%s[16]; %s%s = o_%s;\n", base, name, type, name, name
        else if (type == "const void *") printf "    static unsigned char o_%s[16]; %s%s = o_%s;\n", name, type, name, name
        else if (type ~ /^(int|size_t|uint64_t|int64_t|double|float) \*$/) printf "    %s o_%s = 0; %s%s = &o_%s;\n", base, name, type, name, name
        else if (type in callback) { if (!(type in valid)) stop("arguments.h needs valid_" type); printf "    %s %s = valid_%s;\n", type, name, type }
        else if (type == "void *") printf "    void *%s = NULL;\n", name
        else if (is_number(type)) {
            range(comments[k], parameter[k, i])
            first = least + 0
            if (first < 1) first = type_of[k, i - 1] ~ /\*$/ ? 1 : 0 # a list has one entry
            printf "    %s %s = %s;\n", type, name, (type == "clio_status" ? "CLIO_OK" : first)
        } else stop(name_of[k] ": parameter " parameter[k, i] " has a type that is not understood: " type)
    }
}
function is_out(k, i) { return type_of[k, i] ~ /\*\*$/ || type_of[k, i] ~ /^(int|size_t|uint64_t|int64_t|double|float) \*$/ }

function write_test(k,    i, type, name, p, handle, base, allowed, releases) {
    current = k
    releases = name_of[k] ~ /_(free|destroy)$/
    printf "\nstatic void test_%s(void)\n{\n    clio_context *ctx = arguments_context();\n    (void)ctx;\n", name_of[k]
    declare(k)
    context = "ctx"
    for (i = 1; i <= parameters[k]; i++) { # where the sentence is found: a model's context is arguments_shared
        base = type_of[k, i]; sub(/ \*$/, "", base)
        if (type_of[k, i] ~ /^clio_[a-z_]+ \*const \*$/) { handle = "o_p_" parameter[k, i] "[0]"; context = "arguments_shared" }
        if (opaque[base] && base !~ /^(const )?clio_context$/) { handle = "p_" parameter[k, i]; context = "arguments_shared" }
    }
    for (i = 1; i <= parameters[k]; i++) {
        type = type_of[k, i]; name = parameter[k, i]; p = "p_" name; base = type
        sub(/^const /, "", base); sub(/ \*+$/, "", base)
        allowed = allows_null(comments[k], name)
        expected = ""
        if (type ~ /\*$/ && returns[k] != "clio_status") expected = expect(k, name)
        if (opaque[base] && type !~ /\*\*$/) { # its context cannot be known
            s = context; context = "NULL"
            vary("refuse", p, type, "NULL", name)
            context = s
            if (handle == p && !releases) printf "    if (!%s) { arguments_skip(\"%s\"); goto done; }\n", p, name_of[k]
        } else if (releases && type ~ /\*$/) { printf "    %s = NULL;\n", p; call("refuse", name) }
        else if (type == "const char *") { vary_string(p, comments[k], name, name) }
        else if (type == "const char *const *") { vary("refuse", p, type, "NULL", name); printf "    { static const char *const bad[] = {\"\"}, *const none[] = {NULL};\n"; vary(allows_empty(comments[k], name) ? "allow" : "refuse", p, type, "bad", name "[0]"); vary("refuse", p, type, "none", name "[0]"); print "    }" }
        else if (type ~ /^clio_[a-z_]+ \*const \*$/) { # nor that of models that are not there
            printf "    if (!%s) { arguments_skip(\"%s\"); goto done; }\n", handle, name_of[k]
            s = context; context = "NULL"
            vary("refuse", p, type, "NULL", name)
            printf "    { %s none[1] = {NULL};\n", substr(type, 1, length(type) - 8) "*"
            vary("refuse", p, type, "none", name "[0]")
            print "    }"
            i++
            vary_number("p_" parameter[k, i], type_of[k, i], comments[k], parameter[k, i], parameter[k, i])
            context = s
        } else if (is_number(type)) { expected = ""; vary_number(p, type, comments[k], name, name) }
        else if (type == "void *") continue
        else if (struct_of(type) != "" && type ~ /^const /) {
            if (type_of[k, i + 1] == "size_t") vary_struct(p, type, comments[k], name, name, "p_" parameter[k, i + 1], parameter[k, i + 1])
            else vary_struct(p, type, comments[k], name, name, "", "")
        } else vary(allowed ? "allow" : "refuse", p, type, "NULL", name)
    }
    print "    goto done;\ndone:\n    arguments_close(ctx);\n}"
}
END {
    if (failed) exit 1
    read_all()
    if (functions < 40) stop("only " functions " functions were found")
    for (k = 1; k <= functions; k++) if (name_of[k] ~ /_free$/) freed_by[type_of[k, 1] "*"] = name_of[k]
    print "/* Made by tests/api/arguments.awk from include/clio.h. */\n#include \"arguments.h\""
    for (k = 1; k <= functions; k++) if (parameters[k]) write_test(k)
    print "\nint main(void)\n{\n    if (arguments_open())\n        return 1;"
    for (k = 1; k <= functions; k++) if (parameters[k]) printf "    test_%s();\n", name_of[k]
    printf "    return arguments_done(%d, %d);\n}\n", functions, cases
}
