FROM docker.io/library/python:{python}-slim
RUN pip install --no-cache-dir {packages}
