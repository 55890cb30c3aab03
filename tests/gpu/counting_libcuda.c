// A stand-in for NVIDIA's libcuda.so.1 that counts what a program asks of the driver: launches, copies, waits and memory. "Device"
// memory is host memory and copies are done, but kernels are not run, so a program's numbers mean nothing under it. A machine without
// a GPU can show with it how much work a training step gives to the host. count.py builds and uses it.
//
//   COUNTS=FILE       where the totals go when the program ends
//   COUNTS_PTX=DIR    every module's PTX goes there
//   COUNTS_MEMORY=N   bytes that the device has
//   COUNTS_NAMES=FILE how often each kernel was launched goes there
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef int Result;
typedef unsigned long long Pointer;
#define API __attribute__((visibility("default"))) Result
enum { SUCCESS = 0, OUT_OF_MEMORY = 2, NO_SUCH_DEVICE = 101 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#define LOCKED(statements) \
  do { \
    pthread_mutex_lock(&lock); \
    statements; \
    pthread_mutex_unlock(&lock); \
  } while (0)

static struct {
  unsigned long modules, launches, uploads, reads, moves, waits, stream_waits;
  unsigned long long upload_bytes, read_bytes, held_bytes, most_held_bytes, last_held_bytes;
} count;
typedef struct Function {
  struct Function *next;
  unsigned long launches;
  char name[];
} Function;
static Function *functions;
static unsigned long long memory = 80ull << 30;
static const char *ptx_dir;

__attribute__((constructor)) static void begin(void) {
  ptx_dir = getenv("COUNTS_PTX");
  const char *limit = getenv("COUNTS_MEMORY");
  if (limit) memory = strtoull(limit, 0, 10);
}

__attribute__((destructor)) static void end(void) {
  const char *path = getenv("COUNTS");
  FILE *file = path ? fopen(path, "w") : stderr;
  if (!file) return;
  fprintf(file,
          "{\"modules\": %lu, \"launches\": %lu, \"uploads\": %lu, \"upload_bytes\": %llu, "
          "\"reads\": %lu, \"read_bytes\": %llu, \"moves\": %lu, \"waits\": %lu, \"stream_waits\": %lu, \"most_held_bytes\": %llu, \"last_held_bytes\": %llu}\n",
          count.modules, count.launches, count.uploads, count.upload_bytes, count.reads,
          count.read_bytes, count.moves, count.waits, count.stream_waits, count.most_held_bytes, count.last_held_bytes);
  if (path) fclose(file);
  file = getenv("COUNTS_NAMES") ? fopen(getenv("COUNTS_NAMES"), "w") : 0;
  for (Function *of = functions; file && of; of = of->next) fprintf(file, "%lu %s\n", of->launches, of->name);
  if (file) fclose(file);
}

// The device: one, of the kind that the project's figures are from.

API cuInit(unsigned flags) { return SUCCESS; }
API cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
API cuDeviceGetCount(int *devices) { *devices = 1; return SUCCESS; }
API cuDeviceGet(int *device, int index) { *device = index; return index == 0 ? SUCCESS : NO_SUCH_DEVICE; }
API cuDeviceGetName(char *name, int len, int device) { snprintf(name, len, "NVIDIA H100 80GB HBM3"); return SUCCESS; }
API cuDeviceGetPCIBusId(char *id, int len, int device) { snprintf(id, len, "0000:00:04.0"); return SUCCESS; }
API cuDeviceGetUuid(void *uuid, int device) { memset(uuid, 1, 16); return SUCCESS; }
API cuDeviceGetUuid_v2(void *uuid, int device) { memset(uuid, 1, 16); return SUCCESS; }
API cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = memory; return SUCCESS; }
API cuMemGetInfo_v2(size_t *unused, size_t *total) { *unused = *total = memory; return SUCCESS; }
API cuDeviceCanAccessPeer(int *can, int from, int to) { *can = 0; return SUCCESS; }

API cuDeviceGetAttribute(int *value, int attribute, int device) {
  switch (attribute) {
    case 1: case 2: case 3: *value = 1024; break;     // threads of a block, and along x and y
    case 4: *value = 64; break;                       // along z
    case 5: *value = 2147483647; break;               // blocks along x
    case 6: case 7: *value = 65535; break;            // along y and z
    case 8: *value = 49152; break;                    // shared memory of a block
    case 10: *value = 32; break;                      // threads of a warp
    case 16: *value = 132; break;                     // multiprocessors
    case 75: *value = 9; break;                       // compute capability 9.0
    case 76: *value = 0; break;
    case 97: *value = 232448; break;                  // shared memory of a block that asks for it
    default: *value = 1;
  }
  return SUCCESS;
}

// Contexts, streams and events.

API cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)0x1000; return SUCCESS; }
API cuDevicePrimaryCtxRelease_v2(int device) { return SUCCESS; }
API cuCtxSetCurrent(void *context) { return SUCCESS; }
API cuCtxGetCurrent(void **context) { *context = (void *)0x1000; return SUCCESS; }
API cuCtxPushCurrent_v2(void *context) { return SUCCESS; }
API cuCtxPopCurrent_v2(void **context) { return SUCCESS; }
API cuCtxGetDevice(int *device) { *device = 0; return SUCCESS; }
API cuCtxEnablePeerAccess(void *context, unsigned flags) { return SUCCESS; }
API cuCtxSynchronize(void) { LOCKED(count.waits++); return SUCCESS; }
API cuCtxGetStreamPriorityRange(int *least, int *most) { *least = 0; *most = -5; return SUCCESS; }

API cuStreamCreate(void **stream, unsigned flags) { *stream = malloc(1); return SUCCESS; }
API cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) { return cuStreamCreate(stream, flags); }
API cuStreamDestroy_v2(void *stream) { free(stream); return SUCCESS; }
API cuStreamSynchronize(void *stream) { LOCKED(count.waits++); return SUCCESS; }
API cuStreamQuery(void *stream) { return SUCCESS; }
API cuStreamWaitEvent(void *stream, void *event, unsigned flags) { LOCKED(count.stream_waits++); return SUCCESS; }
API cuStreamIsCapturing(void *stream, int *is_capturing) { *is_capturing = 0; return SUCCESS; }
API cuThreadExchangeStreamCaptureMode(int *mode) { return SUCCESS; }

// An event keeps the device's time. Every launch takes 25 ms, for what measures a device repeats what ends too soon.
API cuEventCreate(void **event, unsigned flags) { *event = calloc(1, sizeof(double)); return SUCCESS; }
API cuEventRecord(double *event, void *stream) { LOCKED(*event = count.launches * 25.0); return SUCCESS; }
API cuEventSynchronize(void *event) { LOCKED(count.waits++); return SUCCESS; }
API cuEventQuery(void *event) { return SUCCESS; }
API cuEventDestroy_v2(void *event) { free(event); return SUCCESS; }
API cuEventElapsedTime(float *ms, double *from, double *to) { *ms = *to - *from; return SUCCESS; }
API cuEventElapsedTime_v2(float *ms, double *from, double *to) { *ms = *to - *from; return SUCCESS; }

// Memory: pages that are zero until they are written, with their size in a page before them.
enum { PAGE = 4096 };
static void *take(size_t len) {
  char *pages = mmap(0, len + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return 0;
  *(size_t *)pages = len;
  return pages + PAGE;
}
static void give_back(void *memory) {
  char *pages = (char *)memory - PAGE;
  munmap(pages, *(size_t *)pages + PAGE);
}
static void *address(Pointer pointer) { return (void *)(uintptr_t)pointer; }

API cuMemAlloc_v2(Pointer *pointer, size_t len) {
  int fits;
  LOCKED(fits = count.held_bytes + len <= memory; if (fits) count.held_bytes += len;
         if (count.held_bytes > count.most_held_bytes) count.most_held_bytes = count.held_bytes);
  void *taken = fits ? take(len) : 0;
  *pointer = (Pointer)(uintptr_t)taken;
  return taken ? SUCCESS : OUT_OF_MEMORY;
}
API cuMemFree_v2(Pointer pointer) {
  LOCKED(count.held_bytes -= *(size_t *)((char *)address(pointer) - PAGE));
  give_back(address(pointer));
  return SUCCESS;
}
API cuMemAllocAsync(Pointer *pointer, size_t len, void *stream) { return cuMemAlloc_v2(pointer, len); }
API cuMemFreeAsync(Pointer pointer, void *stream) { return cuMemFree_v2(pointer); }
API cuMemAllocHost_v2(void **pointer, size_t len) { *pointer = take(len); return *pointer ? SUCCESS : OUT_OF_MEMORY; }
API cuMemHostAlloc(void **pointer, size_t len, unsigned flags) { return cuMemAllocHost_v2(pointer, len); }
API cuMemFreeHost(void *pointer) { give_back(pointer); return SUCCESS; }
API cuDeviceGetDefaultMemPool(void **pool, int device) { *pool = (void *)0x3000; return SUCCESS; }
API cuDeviceGetMemPool(void **pool, int device) { *pool = (void *)0x3000; return SUCCESS; }
API cuMemPoolSetAttribute(void *pool, int attribute, void *value) { return SUCCESS; }
API cuPointerGetAttribute(void *value, int attribute, Pointer pointer) { return 1; }

// Copies. A single number that is read back is what whetstone expects when it tries a device out; it also does for a loss or a norm.
API cuMemcpyHtoDAsync_v2(Pointer to, const void *from, size_t len, void *stream) {
  memcpy(address(to), from, len);
  LOCKED(count.uploads++; count.upload_bytes += len);
  return SUCCESS;
}
API cuMemcpyDtoHAsync_v2(void *to, Pointer from, size_t len, void *stream) {
  if (len == sizeof(float)) *(float *)to = 4.4757f;
  else memcpy(to, address(from), len);
  LOCKED(count.reads++; count.read_bytes += len);
  return SUCCESS;
}
API cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t len, void *stream) {
  memmove(address(to), address(from), len);
  LOCKED(count.moves++);
  return SUCCESS;
}
API cuMemsetD8Async(Pointer to, unsigned char value, size_t len, void *stream) { memset(address(to), value, len); return SUCCESS; }

typedef struct {
  size_t from_x, from_y; int from_kind; const void *from_host; Pointer from_device; void *from_array; size_t from_pitch;
  size_t to_x, to_y; int to_kind; void *to_host; Pointer to_device; void *to_array; size_t to_pitch;
  size_t width, height;
} Copy2D;
enum { HOST = 1 };
API cuMemcpy2DAsync_v2(const Copy2D *copy, void *stream) {
  const char *from = copy->from_kind == HOST ? copy->from_host : address(copy->from_device);
  char *to = copy->to_kind == HOST ? copy->to_host : address(copy->to_device);
  for (size_t row = 0; row < copy->height; row++) memcpy(to + row * copy->to_pitch, from + row * copy->from_pitch, copy->width);
  size_t len = copy->width * copy->height;
  if (copy->from_kind == HOST) LOCKED(count.uploads++; count.upload_bytes += len);
  else LOCKED(count.reads++; count.read_bytes += len);
  return SUCCESS;
}

// Kernels.
API cuModuleLoadData(void **module, const void *image) {
  unsigned long id;
  LOCKED(id = ++count.modules);
  *module = (void *)(uintptr_t)id;
  char path[4096];
  if (!ptx_dir || snprintf(path, sizeof path, "%s/%05lu.ptx", ptx_dir, id) >= (int)sizeof path) return SUCCESS;
  FILE *file = fopen(path, "w");
  if (file) { fputs(image, file); fclose(file); }
  return SUCCESS;
}
API cuModuleUnload(void *module) { return SUCCESS; }
API cuModuleGetFunction(void **function, void *module, const char *name) {
  Function *new = calloc(1, sizeof(Function) + strlen(name) + 1);
  strcpy(new->name, name);
  LOCKED(new->next = functions; functions = new);
  *function = new;
  return SUCCESS;
}
API cuFuncSetAttribute(void *function, int attribute, int value) { return SUCCESS; }
API cuFuncGetAttribute(int *value, int attribute, void *function) { *value = 0; return SUCCESS; }
API cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **arguments, void **extra) {
  LOCKED(count.launches++; ((Function *)function)->launches++; count.last_held_bytes = count.held_bytes);
  return SUCCESS;
}

API cuGetErrorName(Result error, const char **text) { *text = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR"; return SUCCESS; }
API cuGetErrorString(Result error, const char **text) { *text = error == OUT_OF_MEMORY ? "out of memory" : "error"; return SUCCESS; }
