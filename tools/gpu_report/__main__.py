"""Run the tests marked gpu, benchmarks and trainings on this machine, as far as the time of a call carries.

    bash tools/gpu_report.sh
    bash tools/gpu_report.sh work_dirs/gpu_report --wheels wheels --minutes 9
    bash tools/gpu_report.sh --steps tests sampling
    bash tools/gpu_report.sh --carry wheels          (on a machine with a network)

A step is a few commands, as one benchmark or one training; --list shows all steps, what each tells and its state.
Everything lies in one folder:

  results/summary.md    all figures so far, written after each step (summary.json: the same for programs)
  results/              one JSON for each benchmark, tables and rows of scores
  logs/STEP.txt         what a step printed; steps/STEP.json: state, seconds, commands
  environment.json      device, versions, commit
  report.tar.gz         all of that, without scenes and checkpoints

A call ends after --minutes. The next call goes on: steps that are done are passed over, a benchmark keeps the rows it
has, a training resumes from its newest checkpoint, a step that failed is tried again behind the others. A step that
does not fit into the rest of a call is left for the next.

A training takes the rest of a call. To score one before it is done: --steps score_NAME; it is scored again
when it has a newer checkpoint. --device cpu with few --scenes tries the steps on a machine without a GPU.

The Python on the path is used as it is (XEMAP_PYTHON names another): its torch fits the machine's GPU. What it
lacks is installed from --wheels into OUT_FOLDER/site, without a network and without replacing what is there.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from xemap.cli import ending_cleanly, make_parser, run

MINUTES = 9.0


def parse_args(argv: list[str] | None = None):
    parser = make_parser(__doc__, prog='gpu_report.sh')
    parser.add_argument(
        'out', nargs='?', type=Path, default=Path('work_dirs/gpu_report'), metavar='OUT_FOLDER',
        help='folder of the report (default: %(default)s)',
    )  # fmt: skip
    parser.add_argument(
        '--wheels', type=Path, metavar='FOLDER',
        help='wheels, and unpacked packages, of what this Python lacks (default: $XEMAP_WHEELS)',
    )  # fmt: skip
    parser.add_argument('--minutes', type=float, default=MINUTES, help='time for this call (default: %(default)s)')
    parser.add_argument('--steps', nargs='+', metavar='STEP', help='only these, in the order of the plan')
    parser.add_argument('--list', action='store_true', help='show each step, its state and what it tells, and end')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda', help='where models run (default: cuda)')
    parser.add_argument(
        '--scenes', type=int, metavar='N', help='synthetic scenes of 512 px to train on (default: 20000)'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], metavar='KEY=VALUE',
        help='override config entries of all trainings and scores',
    )  # fmt: skip
    parser.add_argument('--carry', type=Path, metavar='FOLDER', help='fill a folder for --wheels, and end')
    parser.add_argument(
        '--carry-python', default='3.12', metavar='X.Y', help="with --carry: the other machine's (default: %(default)s)"
    )
    return parser.parse_args(argv)


def main(args) -> int:
    from xemap.errors import ConfigError

    try:
        return report(args)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f'{sys.executable} has no {error.name}; give --wheels FOLDER (--carry fills one), or a Python that has '
            'everything: bash tools/with_env.sh bash tools/gpu_report.sh'
        ) from error


def report(args) -> int:
    from gpu_report.plan import SCENES, make_plan
    from gpu_report.step import DONE, run_steps, state_of
    from gpu_report.summary import status_line, write_summary
    from xemap.errors import ConfigError

    if args.carry:
        from gpu_report.carry import fill

        fill(args.carry, args.carry_python)
        return 0
    out = args.out.resolve()
    scenes = SCENES if args.scenes is None else args.scenes
    if args.minutes <= 0 or scenes < 1:
        raise ConfigError(f'--minutes {args.minutes:g}, --scenes {scenes}: give more than 0')
    plan = make_plan(out, args.device, scenes, args.cfg_options)
    if args.list:
        for step in plan:
            print(status_line(step, out))
        return 0
    from gpu_report.archive import pack, write_environment
    from xemap.environment import choose_device

    choose_device(args.device)
    write_environment(out, args.device)
    try:
        run_steps(plan, out, 60 * args.minutes, args.steps, partial(write_summary, plan, out))
    finally:
        write_summary(plan, out)
        pack(out, out / 'report.tar.gz')
    left = [step.name for step in plan if state_of(step, out) != DONE]
    print(f'left: {" ".join(left)}' if left else 'all steps are done')
    return 0


if __name__ == '__main__':
    with ending_cleanly():
        sys.exit(run(main, parse_args()))
