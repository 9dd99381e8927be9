"""What a JupyterHub does for a class of this course; a fragment of its configuration, which install.sh puts in place.

Any JupyterHub takes it: load_subconfig("moe_lessons_hub.py") in its own jupyterhub_config.py.
"""

c = get_config()  # noqa: F821 - JupyterHub defines it

# Memory a head, kernel and server together. Most lessons hold less than 0.9 GB (TEACHING.md has the table), but two
# open at once need both. Who goes over it loses a kernel, and nobody else does. Systemd enforces it, a plain process
# spawner does not.
c.Spawner.mem_limit = "2G"

# Cores a head at most: when few are at work they may use the machine, and nobody can take all of it.
c.Spawner.cpu_limit = 2

c.Spawner.environment = {
    # One thread each. Thirty kernels with a thread for every core wait for one another.
    "OMP_NUM_THREADS": "1",
    # Idle threads go to sleep at once, as behind every other door of the course.
    "GOMP_SPINCOUNT": "5000",
    # Nothing is fetched while the class is running: what is missing says so at once.
    "HF_HUB_OFFLINE": "1",
    "PIP_NO_INDEX": "1",
}

# A kernel that nobody looks at ends after fifteen minutes: the lesson before this one, whose tab was closed. One whose
# tab is open stays, and with it a trained model, however long the room talks.
c.Spawner.args = [
    "--MappingKernelManager.cull_idle_timeout=900",
    "--MappingKernelManager.cull_interval=60",
    "--MappingKernelManager.cull_connected=False",
]

# Servers start a few at a time: thirty at once make each of them wait for the last.
c.JupyterHub.concurrent_spawn_limit = 4
c.Spawner.start_timeout = 180
c.Spawner.http_timeout = 120
