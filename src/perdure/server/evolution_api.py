"""The endpoints about machines that change: a part of ``api_table``."""

from __future__ import annotations

from typing import get_args

from perdure import wire_evolution as evolution
from perdure.durable.records import IndexOperator
from perdure.server.endpoint import CURSOR, GZIP, Endpoint, Query

__all__ = ["EVOLUTION"]

_MIGRATIONS = (
    Endpoint(
        method="GET",
        path="/machines/{machineSlug}/migrations",
        tag="Migrations",
        about="List the migrations between versions of a machine.",
        scopes=("machine-versions.read",),
        query=(CURSOR,),
        answer=evolution.MigrationsPage,
    ),
    Endpoint(
        method="POST",
        path="/machines/{machineSlug}/migrations",
        tag="Migrations",
        about="Begin to bring in a migration: learn where its code goes.",
        scopes=("machine-versions.write",),
        query=(GZIP,),
        body=evolution.CreateMigration,
        answer=evolution.ProvisionalMigration,
        refusals=(413,),
    ),
    Endpoint(
        method="PUT",
        path="/machines/{machineSlug}/migrations/{signedMachineVersionMigrationId}",
        tag="Migrations",
        about="Make the uploaded code a migration, if it loads.",
        scopes=("machine-versions.write",),
        answer=evolution.FinalMigration,
        refusals=(409, 413),
    ),
    Endpoint(
        method="PUT",
        path="/machines/{machineSlug}/i/{instanceSlug}/v",
        tag="Migrations",
        about="Let an instance move to another version with its next event.",
        scopes=("instances.write",),
        body=evolution.SetDesiredVersion,
        status=201,
        refusals=(409,),
        details="400 `no-migration-path` when no migrations lead there. The present version takes a wish back.",
    ),
)

_UPGRADES = (
    Endpoint(
        method="GET",
        path="/machines/{machineSlug}/upgrades",
        tag="Upgrades",
        about="Count the instances that run each version of a machine.",
        scopes=("instances.read",),
        answer=evolution.Population,
    ),
    Endpoint(
        method="POST",
        path="/machines/{machineSlug}/upgrades",
        tag="Upgrades",
        about="Move the next instances of a machine to a version, or the named ones.",
        scopes=("instances.admin",),
        body=evolution.UpgradeInstances,
        answer=evolution.UpgradeOutcomes,
        details="An instance that fails is as it was before, and leaves the others alone.",
    ),
    Endpoint(
        method="POST",
        path="/machines/{machineSlug}/upgrades/plan",
        tag="Upgrades",
        about="Say what moving the next instances would do, and change nothing.",
        scopes=("instances.admin",),
        body=evolution.UpgradeInstances,
        answer=evolution.UpgradeOutcomes,
    ),
)

_INDEXES = (
    Endpoint(
        method="GET",
        path="/machines/{machineSlug}/indexes/{index}/query",
        tag="Indexes",
        about="Find instances by the values that an index has of them, ordered by value.",
        scopes=("indexes.read",),
        query=(
            Query("op", "How to compare; with a value.", {"enum": list(get_args(IndexOperator))}),
            Query("value", "What to compare with, as a string.", {"type": "string"}),
            Query("dir", "The order of the values.", {"enum": ["asc", "desc"], "default": "asc"}),
            Query("limit", "At most so many.", {"type": "integer", "minimum": 1}),
            CURSOR,
        ),
        answer=evolution.IndexPage,
        details="`op` and `value` come together. No authoriser is asked.",
    ),
    Endpoint(
        method="PUT",
        path="/machines/{machineSlug}/indexes/{index}",
        tag="Indexes",
        about="Give a machine an index, and a selector to those of its versions that have none for it.",
        scopes=("machines.write",),
        body=evolution.AddIndex,
        is_body_required=False,
        status=201,
    ),
    Endpoint(
        method="POST",
        path="/machines/{machineSlug}/indexes/{index}/rebuild",
        tag="Indexes",
        about="Index the next instances anew.",
        scopes=("instances.admin",),
        body=evolution.RebuildIndex,
        is_body_required=False,
        answer=evolution.RebuiltIndex,
    ),
)

EVOLUTION: tuple[Endpoint, ...] = (*_MIGRATIONS, *_UPGRADES, *_INDEXES)
