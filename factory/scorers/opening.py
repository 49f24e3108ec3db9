"""From a model's name to a scorer, by what its prm.json or config.json says."""

from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Literal, cast

from factory.errors import InputError
from factory.scorers.checkpoint import Checkpoint, not_loaded, open_checkpoint
from factory.scorers.discriminative import DiscriminativeScorer, Head
from factory.scorers.scorer import Scorer
from factory.training.layouts import (
    EXTRA_0,
    SEPARATORS,
    TRL,
    Layout,
    layout_like,
    layout_named,
)
from factory.training.prm_file import DISCRIMINATIVE, GENERATIVE, PrmFile
from schemas.generation import Sampling

BACKENDS = ("auto", "transformers", "vllm")
FORMS = ("genprm", "thinkprm", "critique")
SAMPLING = Sampling(temperature=0.6, max_tokens=4096)
"""GenPRM's evaluation temperature (arXiv 2504.00891, appendix)."""


def open_scorer(
    model: str,
    *,
    backend: str = "auto",
    device: Literal["auto", "cpu", "gpu"] = "auto",
    form: str | None = None,
    num_samples: int = 1,
    sampling: Sampling | None = None,
    seed: int | None = None,
    engine_args: Mapping[str, Any] | None = None,
    layout: str | None = None,
    separator: str | None = None,
    system: str | None = None,
    trust_remote_code: bool = False,
    unsafe_sandbox: bool = False,
) -> Scorer:
    """Loads a process reward model: a folder or a Hub id.

    A discriminative model runs on transformers ("auto") or vLLM's pooling engine, a generative one
    on vLLM. `form`, `num_samples`, `sampling` (by default `SAMPLING`), `seed` and `unsafe_sandbox`
    are a generative model's; `form` is needed where
    no prm.json names one, and makes a language model a generative PRM. `layout` and `separator`
    are a discriminative model's. They and `system` ("" sends none) each stand in for what prm.json
    says, or where there is none the published models. Code that comes with a checkpoint is run
    with `trust_remote_code` alone.

    Raises InputError for what is no PRM, or cannot be run so.
    """
    if backend not in BACKENDS:
        raise InputError(f"no backend {backend!r}: there are {', '.join(BACKENDS)}")
    if form is not None and form not in FORMS:
        raise InputError(f"no form {form!r}: there are {', '.join(FORMS)}")
    if num_samples < 1:
        raise InputError(f"--samples must be at least 1, not {num_samples}")
    checkpoint = open_checkpoint(model)
    if checkpoint.kind == GENERATIVE:
        if backend == "transformers":
            raise InputError(f"{model} is generative: it needs --backend vllm")
        if layout is not None or separator is not None:
            raise InputError(f"{model} is generative: it has neither layout nor separator")
        return _open_generative(
            checkpoint,
            form=form,
            system=system,
            device=device,
            num_samples=num_samples,
            sampling=sampling or SAMPLING,
            seed=seed or 0,
            engine_args=_for_vllm(engine_args, checkpoint, trust_remote_code),
            unsafe_sandbox=unsafe_sandbox,
        )
    assert checkpoint.kind == DISCRIMINATIVE
    if form is not None or num_samples != 1:
        raise InputError(f"{model} is discriminative: it has no form and is read once")
    if sampling is not None or seed is not None or unsafe_sandbox:
        raise InputError(
            f"{model} is discriminative, nothing is drawn and no code is run: leave --temperature, "
            "--max-tokens, --seed and --unsafe-sandbox out"
        )
    return _open_discriminative(
        checkpoint,
        backend=backend,
        device=device,
        engine_args=engine_args,
        layout=layout,
        separator=separator,
        system=system,
        trust_remote_code=trust_remote_code,
    )


def _open_discriminative(
    checkpoint: Checkpoint,
    *,
    backend: str,
    device: Literal["auto", "cpu", "gpu"],
    engine_args: Mapping[str, Any] | None,
    layout: str | None,
    separator: str | None,
    system: str | None,
    trust_remote_code: bool,
) -> Scorer:
    tokenizer = _tokenizer(checkpoint, trust_remote_code)
    good_label = checkpoint.prm.good_label if checkpoint.prm else checkpoint.good_label
    assert good_label is not None
    head = Head(
        model=checkpoint.model,
        revision=checkpoint.revision,
        runs_remote_code=trust_remote_code and bool(checkpoint.auto_map),
        layout=_layout(checkpoint, tokenizer, layout, separator, system),
        good_label=good_label,
    )
    head.layout.separator_id(tokenizer)  # before anything large is loaded
    if backend == "vllm":
        _check_vllm()
        from factory.scorers.vllm_backend import VllmBackend

        args = _for_vllm(engine_args, checkpoint, trust_remote_code)
        served = VllmBackend(checkpoint, device=device, engine_args=args)
        return DiscriminativeScorer(head, tokenizer, served)
    if engine_args:
        raise InputError("engine arguments are vLLM's: add --backend vllm, or leave them out")
    from factory.scorers.transformers_backend import TransformersBackend

    loaded = TransformersBackend(checkpoint, device=device, trust_remote_code=trust_remote_code)
    return DiscriminativeScorer(head, tokenizer, loaded)


def _layout(
    checkpoint: Checkpoint,
    tokenizer: Any,
    name: str | None,
    separator: str | None,
    system: str | None,
) -> Layout:
    """What is given, for the rest as prm.json says; without one Qwen's layout where its separator
    is a token or another is given, else TRL's."""
    if checkpoint.prm is not None:
        found = checkpoint.prm.as_layout
    else:
        is_qwen = separator is not None or SEPARATORS[EXTRA_0] in tokenizer.get_vocab()
        found = layout_named(EXTRA_0 if is_qwen else TRL)
    return layout_like(found, name=name, separator=separator, system=system)


def _open_generative(
    checkpoint: Checkpoint,
    *,
    form: str | None,
    system: str | None,
    device: Literal["auto", "cpu", "gpu"],
    num_samples: int,
    sampling: Sampling,
    seed: int,
    engine_args: Mapping[str, Any] | None,
    unsafe_sandbox: bool,
) -> Scorer:
    told = form or (checkpoint.prm.form if checkpoint.prm else None)
    if told is None:
        raise InputError(
            f"{checkpoint.model} is a language model without a prm.json: say with --form how it "
            f"judges ({', '.join(FORMS)}), or give a trained PRM"
        )
    if told not in FORMS:
        raise InputError(f"{checkpoint.model} has form {told!r}: known are {', '.join(FORMS)}")
    _check_vllm()
    from factory.scorers.generative import GenerativeScorer
    from factory.scorers.sandboxes import open_sandbox
    from workers.vllm_engine import open_engine

    verify = verify_by(told, checkpoint.prm, sampling, system)
    sandbox = open_sandbox(told != "thinkprm", unsafe=unsafe_sandbox)
    try:
        engine = open_engine(checkpoint.model, device=device, engine_args=engine_args)
    except Exception as error:
        raise not_loaded(f"{checkpoint.model} in vLLM", error) from error
    return GenerativeScorer(
        engine,
        sandbox,
        verify,
        num_samples=num_samples,
        seed=seed,
        description={
            "model": checkpoint.model,
            "revision": checkpoint.revision,
            "kind": GENERATIVE,
            "form": told,
            "system": verify.system if told == "genprm" else verify.form.system,
            "backend": "vllm",
            "engine_args": dict(engine_args or {}),
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "seed": seed,
        },
    )


def verify_by(form: str, prm: PrmFile | None, sampling: Sampling, system: str | None) -> Any:
    """The form and its system text: the one given, else prm.json's. Without a prm.json a model is
    asked as the published ones of its form are, and a critique as the factory's teachers."""
    from factory.core.teachers.genprm import GenPrmForm
    from factory.core.teachers.thinkprm import ThinkPrmForm
    from factory.scorers.forms import ChainForm, ConversationForm, CritiqueForm
    from factory.scorers.published import GENPRM_SYSTEM, PublishedThinkPrmForm

    given = {} if system is None else {"system": system or None}
    told = {} if prm is None else {"system": prm.system}
    if form == "critique":
        critique = CritiqueForm(sampling=sampling)
        return replace(critique, form=replace(cast(GenPrmForm, critique.form), **given))
    if form == "thinkprm":
        chain = PublishedThinkPrmForm() if prm is None else ThinkPrmForm()
        return ChainForm(sampling=sampling, form=replace(chain, **(told | given)))
    return ConversationForm(sampling=sampling, **({"system": GENPRM_SYSTEM} | told | given))


def _tokenizer(checkpoint: Checkpoint, trust_remote_code: bool) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            checkpoint.model,
            revision=checkpoint.revision or "main",
            trust_remote_code=trust_remote_code,
        )
    except Exception as error:
        raise not_loaded(f"the tokenizer of {checkpoint.model}", error) from error


def _check_vllm() -> None:
    if find_spec("vllm") is None:
        raise InputError(
            "vLLM is not installed: pip install 'prm-factory[gpu]' (or [cpu]), or take "
            "--backend transformers for a discriminative model"
        )


def _for_vllm(
    args: Mapping[str, Any] | None, checkpoint: Checkpoint, trust_remote_code: bool
) -> dict[str, Any]:
    """What is given, and the commit that was looked at.

    Raises InputError for a model's revision among them.
    """
    given = dict(args or {})
    for name in ("revision", "tokenizer_revision"):
        if name in given:
            raise InputError(f"--engine-args {name}: name the model as org/name@revision instead")
        if checkpoint.revision is not None:
            given[name] = checkpoint.revision
    return {**given, **({"trust_remote_code": True} if trust_remote_code else {})}
