"""Kills at random moments: trainings that are killed again and again until they end, and commands that are killed once."""
import os, random, signal

import jobs, runner

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
TRAINING = jobs.Job("kill-training", ["train", "vae", "-q", "--data", "{in}/data", "-o", "x", *jobs.VAE, *jobs.settings("max_steps=60")],
                    ["x"], keeps=True, old=False)
OUTPUTS = ["transcribe", "imagine-webp", "sample", "tune"]
TRAININGS, COMMANDS = 45, 40  # of the trainings two in three get SIGKILL alone


def training(place, wanted, seconds, seed):
    """Killed at random moments and resumed until it ends: the bits of one that was not killed."""
    draw, count = random.Random(seed), 0
    place.prepare()
    for turn in range(60):
        number = SIGNALS[0] if seed % 3 else SIGNALS[turn % 3]
        after = (draw.uniform(0.02, 0.8 * seconds), number) if turn < 50 else None
        before = set(runner.tree(place.o))
        run = place.run(TRAINING.args + ["--resume"], after=after)
        if run.code == 0:
            break
        count += 1
        if run.code not in (-signal.SIGKILL, -number, 130) or "Sanitizer" in run.err:
            return "crash", f"seed {seed}: exit code {run.code} after {count} kills: {run.err.strip()[-300:]}"
        left = [n for n in runner.tree(place.o) if run.code == 130 and n not in before and runner.TEMPORARY.search(n)]
        if left:
            return "left behind", f"seed {seed}: {', '.join(left[:4])}"
    found = runner.resumed(runner.tree(place.o))
    if found != wanted:
        return "wrong", f"seed {seed}: {runner.differences(found, wanted)} after {count} kills"
    return "right", f"{count} kills"


def command(place, base, seed):
    draw = random.Random(seed)
    number = SIGNALS[seed % 3]
    place.prepare()
    run = place.run(base.job.args, after=(draw.uniform(0, 1.05 * base.seconds), number))
    injection = type("Kill", (), {"kind": "kill", "action": f"signal={int(number)}", "code": number.name})
    outcome, what = runner.judge(place, base, injection, run)
    if outcome in runner.GOOD:
        wrong = runner.later_run(place, base)
        if wrong:
            outcome, what = "later run", f"{wrong} (after: {outcome})"
    return outcome, f"seed {seed}: {what}" if what else ""


def training_reference(campaign):
    place = campaign.place(TRAINING, 0)
    campaign.warm(TRAINING)
    place.prepare()
    run = place.run(TRAINING.args)
    if run.code:
        raise SystemExit(f"faults: {run.err}")
    return runner.resumed(runner.tree(place.o)), run.seconds


def one(campaign, name):
    _, job, seed = name.split("/")
    if job == "training":
        wanted, seconds = training_reference(campaign)
        return training(campaign.place(TRAINING, 0), wanted, seconds, int(seed))
    found = next(j for j in jobs.JOBS if j.name == job)
    campaign.warm(found)
    place = campaign.place(found, 0)
    return command(place, runner.Baseline(place), int(seed))


def all_of_them(campaign):
    wanted, seconds = training_reference(campaign)
    bases = campaign.baselines([j for j in jobs.JOBS if j.name in OUTPUTS and campaign.has_inputs(j)])
    places = {}

    def work(item, worker):
        job, seed = item
        name = f"kill-/{job}/{seed}"
        if name in campaign.rows:
            return
        of = TRAINING if job == "training" else bases[job].job
        if (worker, job) not in places:
            places[worker, job] = campaign.place(of, worker)
        place = places[worker, job]
        outcome, what = training(place, wanted, seconds, seed) if job == "training" else command(place, bases[job], seed)
        campaign.add(name, outcome, "", "", "", what)

    campaign.on_all([("training", s) for s in range(TRAININGS)] + [(j, s) for j in bases for s in range(COMMANDS)], work)
