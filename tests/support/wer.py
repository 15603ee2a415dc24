#!/usr/bin/env python3
"""Word error rate: inserted, left out and exchanged words of a transcript over the words of what was said.

usage: wer.py clips MANIFEST DIR LEAST_EQUAL MOST_WER    all clips of a manifest; NAME.txt in DIR is what was heard in NAME.wav
       wer.py text SAID HEARD MOST_WER                   two text files
Case and punctuation do not count, apostrophes do; each digit is read as its word. A manifest's "transcript" is what was said,
"reference_text" what openai/whisper heard with the same weights: LEAST_EQUAL clips must be heard the same. Exits with 1 when not good enough.
"""
import json
import pathlib
import re
import sys

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


def words(text):
    spoken = re.sub("[0-9]", lambda digit: " %s " % DIGITS[int(digit[0])], text.lower())
    return re.findall("[a-z']+", spoken)


def errors(said, heard):
    """Edit distance, a row of the table at a time."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said):
        last = [i + 1]
        for j, other in enumerate(heard):
            last.append(min(last[j] + 1, row[j + 1] + 1, row[j] + (word != other)))
        row = last
    return row[-1]


def read(path):
    return pathlib.Path(path).read_text(encoding="utf-8", errors="replace")


def judge(wrong, total, most):
    print("word error rate %.2f %% (%d of %d words), allowed %.2f %%" % (100 * wrong / total, wrong, total, 100 * most))
    return wrong / total <= most


def clips(manifest, folder, least_equal, most):
    wrong = total = equal = 0
    listed = json.loads(read(manifest))["clips"]
    for clip in listed:
        said, reference = words(clip["transcript"]), words(clip["reference_text"])
        heard = words(read(pathlib.Path(folder) / pathlib.Path(clip["file"]).with_suffix(".txt")))
        wrong, total, equal = wrong + errors(said, heard), total + len(said), equal + (heard == reference)
        if heard != reference:
            print("%s\n  reference: %s\n  heard:     %s" % (clip["file"], " ".join(reference), " ".join(heard)))
    print("%d of %d clips as the reference hears them, at least %d needed" % (equal, len(listed), least_equal))
    return judge(wrong, total, most) and equal >= least_equal


def main(arguments):
    if len(arguments) == 5 and arguments[0] == "clips":
        good = clips(arguments[1], arguments[2], int(arguments[3]), float(arguments[4]))
    elif len(arguments) == 4 and arguments[0] == "text":
        said, heard = (words(read(path)) for path in arguments[1:3])
        good = judge(errors(said, heard), len(said), float(arguments[3]))
    else:
        sys.exit(__doc__.strip())
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
