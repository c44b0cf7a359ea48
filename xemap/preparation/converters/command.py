"""Command lines of converters, read from what each declares: its docstring and the arguments it takes."""

from __future__ import annotations

import argparse
import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from xemap.errors import ConfigError
from xemap.preparation.converters.base import Converter
from xemap.preparation.converters.phrases import PhraseTable
from xemap.preparation.converters.splits import SplitRule
from xemap.preparation.minimal_pairs import MinimalPairs

_PLAIN = (int, float, str, Path)


@dataclass(frozen=True)
class Argument:
    """An argument of a converter.

    Args:
        name: in its constructor.
        kind: bool, int, float, str or dict (of texts by text).
        default: value when it is not given; :class:`inspect.Parameter.empty` = it must be given.
        choices: the only values; empty = any.
        help: what its docstring says of it.
    """

    name: str
    kind: type
    default: Any
    choices: tuple
    help: str


def declared_arguments(converter: type[Converter]) -> list[Argument]:
    """Arguments that a converter adds to those of :class:`Converter`, its own before those of its bases.

    An argument that is no text, number, flag or ``dict[str, str]`` is for programs only and left out.
    """
    declared: dict[str, Argument] = {}
    helps: dict[str, str] = {}
    for cls in converter.__mro__[: converter.__mro__.index(Converter)]:
        for name, text in _documented(cls).items():
            if not re.match(r'(see|of) ', text):  # such a text sends the reader to a base class
                helps.setdefault(name, text)
        constructor = vars(cls).get('__init__')
        if constructor is None:
            continue
        hints = get_type_hints(constructor)
        for name, parameter in inspect.signature(constructor).parameters.items():
            if name in ('self', 'data_root') or parameter.kind is inspect.Parameter.VAR_KEYWORD or name in declared:
                continue
            kind, choices = _kind(hints.get(name), parameter.default)
            if kind is not None:
                declared[name] = Argument(name, kind, parameter.default, choices, '')
    return [Argument(a.name, a.kind, a.default, a.choices, helps.get(a.name, '')) for a in declared.values()]


def add_arguments(parser: argparse.ArgumentParser, converter: type[Converter]) -> None:
    """Give a parser a converter's arguments and those of every conversion."""
    group = parser.add_argument_group('this format')
    for argument in declared_arguments(converter):
        option, empty = f'--{argument.name.replace("_", "-")}', inspect.Parameter.empty
        text = argument.help.replace('%', '%%')
        if argument.kind is bool:
            group.add_argument(option, action=argparse.BooleanOptionalAction if argument.default else 'store_true',
                             default=argument.default, help=text)  # fmt: skip
        elif argument.kind is dict:
            group.add_argument(
                option, action='append', metavar='NAME=VALUE', type=_pair, help=f'{text}; repeat for more'
            )
        else:
            shown = '' if argument.default in (empty, None, '') else ' (default: %(default)s)'
            group.add_argument(
                option, required=argument.default is empty, type=argument.kind, choices=argument.choices or None,
                default=None if argument.default is empty else argument.default, help=text + shown,
            )  # fmt: skip
    where = parser.add_argument_group('where (annotations, images and masks are relative to the data root)')
    where.add_argument('--data-root', required=True, metavar='DIR', help='folder that image paths will be relative to')
    where.add_argument('--out', required=True, metavar='DIR', help='folder for train.arrow and so on')
    where.add_argument('--source', metavar='NAME', help='name of the data set (default: the source or data root)')
    if converter.default_split is not None:
        _add_splits(parser, converter.default_split)
    if converter.from_labels:
        _add_wording(parser, converter.least_share)
    if converter.from_labels or converter.default_split is not None:
        parser.add_argument('--seed', type=int, default=0, help='seed of splits and wording (default: %(default)s)')
    parser.add_argument('--skip-bad', action='store_true', help='count and leave out bad files instead of failing')


def _add_splits(parser: argparse.ArgumentParser, split: str) -> None:
    splits = parser.add_argument_group('splits')
    splits.add_argument(
        '--split', metavar='NAME',
        help=f'split of all images, or of the rest (default: {split}; with a share of that name, train)',
    )  # fmt: skip
    splits.add_argument('--val', type=float, metavar='F', help='share of the images for val, e.g. 0.15')
    splits.add_argument('--test', type=float, metavar='F', help='share of the images for test')
    splits.add_argument(
        '--group-regex', metavar='RE',
        help='keep images together for which this finds the same text (of its first group), e.g. tiles of one scene',
    )  # fmt: skip
    splits.add_argument(
        '--split-file', action='append', default=[], metavar='NAME=FILE', type=_pair,
        help='a list of images, one per line, * allowed, for split NAME; repeat for more splits',
    )  # fmt: skip


def _add_wording(parser: argparse.ArgumentParser, least_share: float) -> None:
    queries = parser.add_argument_group('queries')
    queries.add_argument('--templates', metavar='FILE', help='your names and phrases for categories, JSON')
    queries.add_argument(
        '--min-area', type=float, default=least_share, metavar='F',
        help='no query for a category with a smaller share of the image (default: %(default)s)',
    )  # fmt: skip
    queries.add_argument(
        '--wordings', type=int, default=1, metavar='N',
        help='queries per category and image, in different words (default: %(default)s)',
    )  # fmt: skip
    queries.add_argument(
        '--map', action='append', default=[], metavar='OLD=NEW', type=_pair,
        help='rename or join categories; OLD= drops one; repeat for more',
    )  # fmt: skip
    queries.add_argument(
        '--expressions', action='store_true',
        help='ask for attributes, positions and relations of the labeled objects as well (docs/expressions.md)',
    )  # fmt: skip
    queries.add_argument('--words', metavar='FILE', help='with --expressions: your words and templates, JSON')
    queries.add_argument(
        '--minimal-pairs', choices=get_args(MinimalPairs), default='none',
        help='with --expressions: queries in twos that differ in one phrase and mean different objects, behind the '
        'other queries of an image (too, for training) or alone (only, for a test) (default: %(default)s)',
    )  # fmt: skip


def make_converter(converter: type[Converter], args: argparse.Namespace) -> Converter:
    """The converter that a parsed command line asks for."""
    options: dict[str, Any] = {'skip_bad': args.skip_bad}
    for argument in declared_arguments(converter):
        value = getattr(args, argument.name)
        if argument.kind is not dict:
            options[argument.name] = value
        elif value is not None:
            options[argument.name] = dict(value)
    if args.source is not None:
        options['source'] = args.source
    if converter.from_labels:
        from xemap.preparation.expressions import ExpressionGenerator

        _check_expressions(converter, args)
        options['phrases'] = PhraseTable(args.templates, seed=args.seed)
        options['min_area'] = args.min_area
        options['wordings'] = args.wordings
        options['category_map'] = dict(args.map)
        if args.expressions:
            options['expressions'] = ExpressionGenerator(args.words, args.seed, minimal_pairs=args.minimal_pairs)
    return converter(args.data_root, **options)


def _check_expressions(converter: type[Converter], args: argparse.Namespace) -> None:
    """Refuse options that would have no effect."""
    for option, given in (('--words', args.words is not None), ('--minimal-pairs', args.minimal_pairs != 'none')):
        if given and not args.expressions:
            raise ConfigError(f'{option} concerns --expressions; give it too, or leave {option} out')
    if args.minimal_pairs == 'only' and (args.wordings != 1 or args.min_area != converter.least_share):
        raise ConfigError('--minimal-pairs only makes no query of a category; leave --wordings and --min-area out')


def make_split_rule(converter: type[Converter], args: argparse.Namespace) -> SplitRule | None:
    """How the command line divides the images; None = as the source does."""
    if converter.default_split is None:
        return None
    fractions = {name: share for name in ('val', 'test') if (share := getattr(args, name)) is not None}
    default = 'train' if converter.default_split in fractions else converter.default_split
    return SplitRule(
        name=args.split or default,
        fractions=fractions,
        files={name: Path(file) for name, file in args.split_file},
        seed=args.seed,
        group_regex=args.group_regex,
    )


def summary_of(converter: type[Converter]) -> str:
    """The first paragraph of a converter's docstring, on one line."""
    return ' '.join(description_of(converter).split('\n\n')[0].split()).rstrip('.')


def description_of(converter: type[Converter]) -> str:
    """A converter's docstring up to its arguments, without markup."""
    return _plain(re.split(r'\n\s*(?:Args|Raises):', inspect.getdoc(converter) or '')[0]).strip()


def _documented(cls: type) -> dict[str, str]:
    """What the docstring of a class says of each argument."""
    match = re.search(r'^Args:\n(.*?)(?=^\S|\Z)', inspect.cleandoc(cls.__doc__ or ''), re.DOTALL | re.MULTILINE)
    texts: dict[str, str] = {}
    for entry in re.split(r'\n(?= {4}\S)', match.group(1).rstrip()) if match else ():
        names, _, text = entry.strip().partition(':')
        for name in names.split(','):
            texts[name.strip()] = ' '.join(_plain(text).split()).rstrip('.')
    return texts


def _plain(text: str) -> str:
    return re.sub(r':\w+:`~?(?:[\w.]*\.)?([^`]*)`|``([^`]*)``', lambda match: match[1] or match[2], text)


def _kind(hint: Any, default: Any) -> tuple[type | None, tuple]:
    """What argparse is to make of a text, and the values allowed; None = no argument of a command line."""
    if get_origin(hint) is Literal:
        return str, get_args(hint)
    options = get_args(hint) or (hint,)
    if get_origin(hint) is dict or any(get_origin(option) is dict for option in options):
        return dict, ()
    if hint is None:
        options = (type(default),) if default not in (None, inspect.Parameter.empty) else (str,)
    if bool in options:
        return bool, ()
    kind = next((kind for kind in _PLAIN if kind in options), None)
    return (str if kind is Path else kind), ()


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition('=')
    if not key or not equals:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form NAME=VALUE')
    return key, value
