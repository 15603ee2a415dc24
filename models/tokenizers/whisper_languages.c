/* whisper_languages.c - the languages of Whisper. See whisper_languages.h.
 * Source: openai/whisper, tokenizer.py (LANGUAGES, TO_LANGUAGE_CODE). The order is that of the language tokens: add new languages at the
 * end. More aliases: "iw", Hebrew in the first release; "jv", the ISO code of Javanese; codes of today for what Whisper calls otherwise. */
#include "whisper_languages.h"

#include "../../host/core/mem.h"

#include <string.h>
#include <strings.h>

struct language {
    const char *code, *name;
};

static const struct language languages[] = {
    {"en", "English"},  {"zh", "Chinese"},    {"de", "German"},         {"es", "Spanish"},     {"ru", "Russian"},    {"ko", "Korean"},
    {"fr", "French"},   {"ja", "Japanese"},   {"pt", "Portuguese"},     {"tr", "Turkish"},     {"pl", "Polish"},     {"ca", "Catalan"},
    {"nl", "Dutch"},    {"ar", "Arabic"},     {"sv", "Swedish"},        {"it", "Italian"},     {"id", "Indonesian"}, {"hi", "Hindi"},
    {"fi", "Finnish"},  {"vi", "Vietnamese"}, {"he", "Hebrew"},         {"uk", "Ukrainian"},   {"el", "Greek"},      {"ms", "Malay"},
    {"cs", "Czech"},    {"ro", "Romanian"},   {"da", "Danish"},         {"hu", "Hungarian"},   {"ta", "Tamil"},      {"no", "Norwegian"},
    {"th", "Thai"},     {"ur", "Urdu"},       {"hr", "Croatian"},       {"bg", "Bulgarian"},   {"lt", "Lithuanian"}, {"la", "Latin"},
    {"mi", "Maori"},    {"ml", "Malayalam"},  {"cy", "Welsh"},          {"sk", "Slovak"},      {"te", "Telugu"},     {"fa", "Persian"},
    {"lv", "Latvian"},  {"bn", "Bengali"},    {"sr", "Serbian"},        {"az", "Azerbaijani"}, {"sl", "Slovenian"},  {"kn", "Kannada"},
    {"et", "Estonian"}, {"mk", "Macedonian"}, {"br", "Breton"},         {"eu", "Basque"},      {"is", "Icelandic"},  {"hy", "Armenian"},
    {"ne", "Nepali"},   {"mn", "Mongolian"},  {"bs", "Bosnian"},        {"kk", "Kazakh"},      {"sq", "Albanian"},   {"sw", "Swahili"},
    {"gl", "Galician"}, {"mr", "Marathi"},    {"pa", "Punjabi"},        {"si", "Sinhala"},     {"km", "Khmer"},      {"sn", "Shona"},
    {"yo", "Yoruba"},   {"so", "Somali"},     {"af", "Afrikaans"},      {"oc", "Occitan"},     {"ka", "Georgian"},   {"be", "Belarusian"},
    {"tg", "Tajik"},    {"sd", "Sindhi"},     {"gu", "Gujarati"},       {"am", "Amharic"},     {"yi", "Yiddish"},    {"lo", "Lao"},
    {"uz", "Uzbek"},    {"fo", "Faroese"},    {"ht", "Haitian Creole"}, {"ps", "Pashto"},      {"tk", "Turkmen"},    {"nn", "Nynorsk"},
    {"mt", "Maltese"},  {"sa", "Sanskrit"},   {"lb", "Luxembourgish"},  {"my", "Myanmar"},     {"bo", "Tibetan"},    {"tl", "Tagalog"},
    {"mg", "Malagasy"}, {"as", "Assamese"},   {"tt", "Tatar"},          {"haw", "Hawaiian"},   {"ln", "Lingala"},    {"ha", "Hausa"},
    {"ba", "Bashkir"},  {"jw", "Javanese"},   {"su", "Sundanese"},      {"yue", "Cantonese"},
};

static const struct language aliases[] = {
    {"my", "Burmese"}, {"ca", "Valencian"}, {"nl", "Flemish"},  {"ht", "Haitian"},   {"lb", "Letzeburgesch"}, {"ps", "Pushto"},
    {"pa", "Panjabi"}, {"ro", "Moldavian"}, {"ro", "Moldovan"}, {"si", "Sinhalese"}, {"es", "Castilian"},     {"zh", "Mandarin"},
    {"he", "iw"},      {"jw", "jv"},        {"zh", "cmn"},      {"no", "nb"},        {"tl", "fil"},
};

int language_count(void)
{
    return (int)COUNT(languages);
}

/* With a code for a script or country behind it ("zh-Hans-CN", "pt_BR"), the language before it. */
static const char *find_base(const char *text)
{
    char base[4] = "";
    size_t length = strcspn(text, "-_");
    if (!text[length] || length >= sizeof base)
        return NULL;
    memcpy(base, text, length);
    return language_find(base);
}

const char *language_find(const char *text)
{
    for (size_t i = 0; i < COUNT(languages); i++)
        if (!strcasecmp(text, languages[i].code) || !strcasecmp(text, languages[i].name))
            return languages[i].code;
    for (size_t i = 0; i < COUNT(aliases); i++)
        if (!strcasecmp(text, aliases[i].name))
            return aliases[i].code;
    return find_base(text);
}

int language_index(const char *code)
{
    for (size_t i = 0; i < COUNT(languages); i++)
        if (!strcmp(code, languages[i].code))
            return (int)i;
    return -1;
}

const char *clio_language_find(const char *text)
{
    return text && *text ? language_find(text) : NULL;
}

void clio_language(size_t n, const char **code, const char **name)
{
    if (code)
        *code = n < COUNT(languages) ? languages[n].code : NULL;
    if (name)
        *name = n < COUNT(languages) ? languages[n].name : NULL;
}
