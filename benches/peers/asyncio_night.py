#!/usr/bin/env python3
"""A batch of Kling effects, as people write it today: asyncio and aiohttp, a semaphore for the tasks that run at once and one
for the downloads, a checkpoint of JSON lines. Started again, it skips the rows that the checkpoint calls done and goes on
with the tasks that it knows."""

import argparse
import asyncio
import csv
import hashlib
import json
import os

import aiohttp


class Checkpoint:
    """One line for each thing that happened to a row; the last one says how it stands."""

    def __init__(self, path):
        self.rows = {}
        if os.path.exists(path):
            with open(path) as lines:
                for line in lines:
                    entry = json.loads(line)
                    self.rows.setdefault(entry["id"], {}).update(entry)
        self.file = open(path, "a")

    def note(self, row_id, **what):
        self.file.write(json.dumps({"id": row_id, **what}) + "\n")
        # In the kernel's hands: a killed script loses nothing, a machine that loses power may.
        self.file.flush()


async def create(session, base, row):
    body = {
        "effect_scene": row["scene"],
        "input": {"image": row["images"], "duration": row["duration"]},
        "external_task_id": row["id"],
    }
    async with session.post(f"{base}/v1/videos/effects", json=body) as answer:
        answer.raise_for_status()
        told = await answer.json()
    if told["code"] != 0:
        raise RuntimeError(f"{row['id']}: {told}")
    return told["data"]["task_id"]


async def wait_for(session, base, task, poll):
    while True:
        await asyncio.sleep(poll)
        async with session.get(f"{base}/v1/videos/effects/{task}") as answer:
            answer.raise_for_status()
            told = (await answer.json())["data"]
        if told["task_status"] == "succeed":
            return told["task_result"]["videos"][0]["url"]
        if told["task_status"] == "failed":
            raise RuntimeError(f"{task}: {told.get('task_status_msg')}")


async def download(files, url, path):
    digest = hashlib.sha256()
    part = f"{path}.part"
    async with files.get(url) as answer:
        answer.raise_for_status()
        with open(part, "wb") as out:
            async for chunk in answer.content.iter_chunked(256 * 1024):
                digest.update(chunk)
                out.write(chunk)
    if answer.content_length is not None and os.path.getsize(part) != answer.content_length:
        raise RuntimeError(f"{url}: cut off")
    os.replace(part, path)
    return digest.hexdigest()


async def night(args):
    with open(args.manifest, newline="") as lines:
        rows = list(csv.DictReader(lines))
    checkpoint = Checkpoint("checkpoint.jsonl")
    slots, fetches = asyncio.Semaphore(args.in_flight), asyncio.Semaphore(args.downloads)
    key = {"Authorization": f"Bearer {os.environ.get('NIGHTREEL_API_KEY', 'sk-bench')}"}
    async with (
        aiohttp.ClientSession(headers=key, connector=aiohttp.TCPConnector(limit=0)) as session,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as files,
    ):

        async def one(row):
            known = checkpoint.rows.get(row["id"], {})
            if "sha256" in known:
                return
            async with slots:
                task = known.get("task")
                if task is None:
                    task = await create(session, args.base_url, row)
                    checkpoint.note(row["id"], task=task)
                url = await wait_for(session, args.base_url, task, args.poll)
            async with fetches:
                folder = os.path.join(args.out, row["scene"])
                os.makedirs(folder, exist_ok=True)
                sha256 = await download(files, url, os.path.join(folder, f"{row['id']}.mp4"))
                checkpoint.note(row["id"], sha256=sha256)

        done = await asyncio.gather(*(one(row) for row in rows), return_exceptions=True)
    failed = [problem for problem in done if problem is not None]
    for problem in failed[:10]:
        print(problem)
    print(f"{len(rows) - len(failed)} of {len(rows)} done")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("manifest")
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--out", default="videos")
    parser.add_argument("--in-flight", type=int, default=5)
    parser.add_argument("--downloads", type=int, default=4)
    parser.add_argument("--poll", type=float, default=2.0)
    raise SystemExit(asyncio.run(night(parser.parse_args())))


if __name__ == "__main__":
    main()
