/* The one function of bcryptprimitives.dll that Rust's standard library calls. Windows has it since 8;
   wine 8, of Debian 12, has not. For tests under wine only. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size) {
    return RtlGenRandom(data, size);
}
