"""Training process reward models."""

from pathlib import Path
from typing import Annotated

import typer

from factory.cli.app import app, print_lines


@app.command()
def train(
    data: Annotated[
        str,
        typer.Option(help="A job's or dataset's folder, a file of rows, or org/name[@revision]."),
    ],
    model: Annotated[str, typer.Option("--model", "-m", help="A folder, or org/name[@revision].")],
    out_folder: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the checkpoints and the model.")
    ],
    kind: Annotated[str, typer.Option(help="discriminative or generative.")] = "discriminative",
    part: Annotated[
        str | None,
        typer.Option(
            help="data, consensus or rationales; by default as --kind needs. Of others' datasets "
            "on the Hub: the configuration."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option(help="Of a dataset on the Hub, or of files named so.")
    ] = "train",
    layout: Annotated[
        str | None,
        typer.Option(
            help="extra_0 (Qwen2.5-Math-PRM's) or trl; by default a PRM's own, else extra_0."
        ),
    ] = None,
    separator: Annotated[
        str | None, typer.Option(help="One token at the end of each step; by default the layout's.")
    ] = None,
    system: Annotated[
        str | None, typer.Option(help="System text of the layout; '' sends none.")
    ] = None,
    labels: Annotated[str, typer.Option(help="hard, soft or counts.")] = "hard",
    loss: Annotated[str, typer.Option(help="ce or mse.")] = "ce",
    soft_from: Annotated[
        str | None, typer.Option(help="mc_scores or value_means; by default the better there is.")
    ] = None,
    after_error: Annotated[
        str, typer.Option(help="Steps behind the first bad one: mask or keep.")
    ] = "mask",
    undecided: Annotated[
        str | None, typer.Option(help="mask or keep; by default masked with hard labels.")
    ] = None,
    weigh_by_probability: Annotated[
        bool, typer.Option(help="Weigh a hard label by its probability to be right.")
    ] = False,
    max_length: Annotated[
        int | None, typer.Option(help="Tokens of an example; by default 4,096.")
    ] = None,
    too_long: Annotated[
        str | None,
        typer.Option(help="drop, truncate-at-step or error; by default cut, generative: drop."),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="By default that of a published run.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Examples of an optimizer's step, over all devices.")
    ] = None,
    micro_batch_size: Annotated[
        int, typer.Option(help="Examples a device computes at a time.")
    ] = 4,
    epochs: Annotated[float | None, typer.Option(help="Passes over the data.")] = None,
    max_steps: Annotated[int | None, typer.Option(help="Optimizer's steps in all.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="linear, constant, cosine, ...")] = None,
    warmup_steps: Annotated[int, typer.Option(min=0)] = 0,
    weight_decay: Annotated[float, typer.Option(min=0)] = 0.0,
    lora_rank: Annotated[int, typer.Option(min=0, help="0 trains all weights.")] = 0,
    lora_alpha: Annotated[int | None, typer.Option(help="By default half the rank.")] = None,
    device: Annotated[str, typer.Option(help="auto, or cpu in any case.")] = "auto",
    bf16: Annotated[bool | None, typer.Option(help="By default where the GPU can.")] = None,
    gradient_checkpointing: Annotated[
        bool, typer.Option(help="Less memory, a third more time.")
    ] = False,
    streaming: Annotated[
        bool | None, typer.Option(help="Read while training; by default from the Hub.")
    ] = None,
    save_steps: Annotated[int, typer.Option(help="Steps from checkpoint to checkpoint.")] = 500,
    seed: Annotated[int, typer.Option()] = 0,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted run.")] = False,
    report_to: Annotated[str, typer.Option(help="wandb, tensorboard, ...")] = "none",
) -> None:
    """Train a process reward model on published labels.

    On several GPUs: torchrun --nproc-per-node 8 --no-python prm-factory train ...
    """
    from factory.training.processes import main_process_speaks
    from factory.training.settings import TrainSettings
    from factory.training.train import train as run

    with main_process_speaks():
        settings = TrainSettings(
            data=data,
            model=model,
            out=out_folder,
            kind=kind,
            part=part,
            split=split,
            layout=layout,
            separator=separator,
            system=system,
            labels=labels,
            loss=loss,
            soft_from=soft_from,
            after_error=after_error,
            undecided=undecided,
            weigh_by_probability=weigh_by_probability,
            max_length=max_length,
            too_long=too_long,
            learning_rate=learning_rate,
            batch_size=batch_size,
            micro_batch_size=micro_batch_size,
            epochs=epochs,
            max_steps=max_steps,
            scheduler=scheduler,
            warmup_steps=warmup_steps,
            weight_decay=weight_decay,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            device=device,
            bf16=bf16,
            gradient_checkpointing=gradient_checkpointing,
            streaming=streaming,
            save_steps=save_steps,
            seed=seed,
            resume=resume,
            report_to=report_to,
        )
        run(settings, lambda line: print_lines([line]))
