"""A labelling job from problems to published dataset: sample, estimate, publish."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from factory.cluster import open_cluster
from factory.core.recipe import Recipe
from factory.ending import Ending, sigterm_ends
from factory.identity import (
    check_folder,
    evidence_pins,
    job_manifest,
    other_engine,
    pins_in,
    versions_of_all,
)
from factory.intake import Intake, checked_intake
from factory.job import Job
from factory.job_checks import check_models, check_roles, load_recipe_or_refuse
from factory.job_folder import JOB_FILE, JobFolder
from factory.job_stages import Stage, stages_of
from factory.lease import Lease
from factory.publish import provenance_of, publish, slices_of
from factory.reuse import check_evidence, take_evidence
from factory.revisions import pinned, pins_of, unpinned
from factory.sealing import POLL_S, Sealer
from factory.shards import Rule
from factory.slices import Slices, add_problems, problems_per_slice, remove_slices
from factory.stages import OpenerOf, pending_problems
from factory.stored import Row, StoredRows
from factory.trust import check_code
from factory.watched_stage import run_watched
from factory.watching.events import event
from factory.watching.seen import job_seen
from factory.watching.stage_run import Watch
from schemas.files import absolute, clear_unfinished, write_atomically
from schemas.manifest import Manifest, write_manifest

if TYPE_CHECKING:  # the Hub's client is loaded for jobs that push
    from factory.hub import BackgroundPush, PushState, Rhythm


def label(
    job: Job,
    out: Path,
    watch: Watch,
    evidence_of: Path | None = None,
    *,
    allow_code: bool = False,
    say: Callable[[str], object] = lambda line: None,
    watch_push: "Callable[[PushState], object]" = lambda state: None,
    rhythm: "Rhythm | None" = None,
    seal_every_s: float = POLL_S,
    opener: OpenerOf | None = None,
) -> Manifest:
    """Runs a job, or goes on with one that was interrupted, and publishes its dataset.

    `evidence_of` is the folder of a job whose rollouts this one takes over, where it would buy the
    same: another teacher or another rule then costs no rollout. `say` gets lines for a person,
    `watch_push` every state of the push to the Hub; that it failed is no error of the job.
    `allow_code` says that the job's author may run code here (see `factory.trust`).

    Everything that can be wrong with the input is found before anything is written or started.
    Raises InputError for it.
    """
    check_code(job, allow_code=allow_code)
    recipe = load_recipe_or_refuse(job.recipe)
    check_roles(job, recipe)
    check_models(job, recipe)
    folder = JobFolder(path=absolute(out))
    stored = {} if evidence_of is None else evidence_pins(evidence_of)
    pins = pins_of(job, recipe, {**stored, **pins_in(folder.path)})
    manifest = job_manifest(job, recipe, pins)
    check_folder(folder.path, manifest)
    for line in unpinned(job, pins):
        say(line)
    job = pinned(job, pins)
    if evidence_of is not None:
        check_evidence(evidence_of, manifest)
    ending = Ending()
    with sigterm_ends(), checked_intake(job, recipe) as intake:
        pushing = _push(job, folder, watch_push, rhythm, say)
        with ending.watched(), Lease(folder.path, ending, say=say) as lease:
            clear_unfinished(folder.path)
            found = check_folder(folder.path, manifest)
            slices = _store_problems(job, folder, manifest, found, intake)
            if evidence_of is not None:
                take_evidence(evidence_of, folder.path)
            versions = manifest.versions
            if found:
                manifest = replace(
                    manifest, stages=found.stages, audit=found.audit, versions=found.versions
                )
            stages = stages_of(job, recipe, folder, manifest, intake.has_solutions)
            seen = job_seen(folder.path, manifest, watch, ending, lease.has_folder)
            with seen as watch, pushing as pusher:
                run = _Run(
                    job=job,
                    recipe=recipe,
                    folder=folder,
                    slices=slices,
                    watch=watch,
                    ending=ending,
                    lease=lease,
                    is_published=found is not None and found.is_complete,
                    versions=versions,
                    say=say,
                    seal_every_s=seal_every_s,
                    opener=opener,
                )
                manifest = _run_stages(run, stages, manifest)
                if pusher is not None:
                    _finish_push(pusher, say)
    return manifest


def _push(
    job: Job,
    folder: JobFolder,
    watch: "Callable[[PushState], object]",
    rhythm: "Rhythm | None",
    say: Callable[[str], object],
) -> "AbstractContextManager[BackgroundPush | None]":
    """The push beside the job, where it asks for one. Raises InputError if it cannot be."""
    if job.push_to is None:
        return nullcontext()
    from factory.hub import BackgroundPush, check_access
    from factory.watching.pushing import PushEvents

    events = PushEvents()

    def told(state: "PushState") -> None:
        events.read(state)
        watch(state)

    revision, is_private = job.push.revision, job.push.private
    differs = check_access(folder.dataset, job.push_to, revision=revision, is_private=is_private)
    if differs:
        say(f"{differs}; the job goes on, its push stops there")
    return BackgroundPush(
        folder.dataset,
        job.push_to,
        watch=told,
        rhythm=rhythm,
        revision=revision,
        is_private=is_private,
    )


def _finish_push(pusher: "BackgroundPush", say: Callable[[str], object]) -> None:
    """Waiting may take minutes while nothing else shows that anything is going on."""
    from factory.report.push import push_line

    pusher.finish(lambda state: say(f"waiting for the Hub: {push_line(state)}"))


def _store_problems(
    job: Job, folder: JobFolder, manifest: Manifest, found: Manifest | None, intake: Intake
) -> Slices:
    """Problems that were not there in an earlier run join; the folder keeps those that were."""
    if found is None:
        remove_slices(folder.problems)
        write_manifest(folder.path, manifest)
    size = problems_per_slice(intake.num_problems, job.output.problems_per_shard)
    slices = add_problems(folder.problems, folder.slices(), intake.tables(), size)
    write_atomically(folder.path / JOB_FILE, job.model_dump_json(indent=2) + "\n")
    return slices


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """What all stages of one run share."""

    job: Job
    recipe: Recipe
    folder: JobFolder
    slices: Slices
    watch: Watch
    ending: Ending
    lease: Lease
    is_published: bool
    """Whole, by an earlier run."""
    versions: Mapping[str, str]
    """Of the packages of this run."""
    say: Callable[[str], object]
    seal_every_s: float
    opener: OpenerOf | None

    def stored(self, stage: Stage) -> StoredRows:
        return self.folder.stored(stage.folder, self.slices)

    def ready(
        self,
        cluster: ExitStack,
        source: Mapping[str, Row],
        stored: StoredRows,
        manifest: Manifest,
    ) -> Manifest:
        """A job that has nothing left to run starts no cluster. Where it has nothing to publish
        either, what it runs on made nothing: else the folder's manifest names its versions too."""
        if pending_problems(source, stored.rows):
            cluster.enter_context(open_cluster(self.job.engine_cpus))
        elif self.is_published:
            return manifest
        self.lease.check()
        versions = versions_of_all(manifest.versions, self.versions)
        if versions == manifest.versions:
            return manifest
        if line := other_engine(manifest.versions, self.versions):
            self.say(line)
        manifest = replace(manifest, versions=versions)
        write_manifest(self.folder.path, manifest)
        return manifest

    def stage(
        self, stage: Stage, source: Mapping[str, Row], stored: StoredRows, manifest: Manifest
    ) -> Manifest:
        """Runs it; the folder's manifest then has its counters."""
        self.lease.check()
        manifest = run_watched(
            stage, source, stored, manifest, self.watch, self.opener, self.lease.has_folder
        )
        self.lease.check()
        write_manifest(self.folder.path, manifest)
        return manifest

    def sealer(self, stored: StoredRows, manifest: Manifest) -> Sealer | None:
        """Of the last stage; `None` where the output is written in one piece at the end."""
        if self.job.output.format != "parquet":
            return None
        rule = Rule(
            labeler=self.recipe.labeler,
            curation=self.recipe.curation,
            provenance=provenance_of(manifest),
        )
        rows_per_row_group = self.job.output.rows_per_row_group
        sealer = Sealer(
            self.folder,
            self.slices,
            stored,
            rule,
            rows_per_row_group=rows_per_row_group,
            may_write=self.lease.has_folder,
        )
        sealer.open(manifest)
        return sealer

    def publish(self, stage: Stage, manifest: Manifest) -> Manifest:
        """What that stage stored, in one piece."""
        return publish(
            evidence=slices_of(self.folder, stage.folder),
            folder=self.folder.dataset,
            manifest=manifest,
            labeler=self.recipe.labeler,
            curation=self.recipe.curation,
            output=self.job.output,
        )


def _run_stages(run: _Run, stages: list[Stage], manifest: Manifest) -> Manifest:
    """All stages, the last one with its slices sealed as they are settled; then what is left."""
    before = manifest.stages
    *earlier, last = stages
    source: Mapping[str, Row] = run.slices.rows
    with ExitStack() as cluster:
        for stage in earlier:
            stored = run.stored(stage)
            manifest = run.ready(cluster, source, stored, manifest)
            manifest = run.stage(stage, source, stored, manifest)
            for number, members in run.slices.members.items():
                stored.compact(number, members)
            stored.remove_done()
            source = {i: row for i, row in stored.rows.items() if i in run.slices.rows}
        stored = run.stored(last)
        manifest = run.ready(cluster, source, stored, manifest)
        sealer = run.sealer(stored, manifest)
        with sealer.beside(manifest, run.ending, run.seal_every_s) if sealer else nullcontext():
            manifest = run.stage(last, source, stored, manifest)
    if manifest.stages != before:
        manifest = replace(manifest, audit={})  # it was about less evidence than there is now
    event("publishing")
    manifest = sealer.finish(manifest) if sealer else run.publish(last, manifest)
    write_manifest(run.folder.path, manifest)
    return manifest
