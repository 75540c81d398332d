/* Sends an event of the console to a program as Windows does, by a thread of that program which begins at kernelbase's CtrlRoutine: wine 8
 * has no other way without a window. usage: console-event PROGRAM.EXE NUMBER, one of wincon.h's CTRL_.._EVENT. */
#include <stdlib.h>
#include <windows.h>
#include <tlhelp32.h>

static DWORD id_of(const char *program) {
    PROCESSENTRY32 it = {.dwSize = sizeof it};
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0);
    for (BOOL more = Process32First(all, &it); more; more = Process32Next(all, &it))
        if (!lstrcmpiA(it.szExeFile, program)) return it.th32ProcessID;
    return 0;
}

int main(int count, char **arguments) {
    if (count != 3) return 2;
    void *routine = (void *)GetProcAddress(GetModuleHandleA("kernelbase.dll"), "CtrlRoutine");
    HANDLE process = OpenProcess(PROCESS_ALL_ACCESS, FALSE, id_of(arguments[1]));
    if (!routine || !process) return 1;
    return !CreateRemoteThread(process, NULL, 0, (LPTHREAD_START_ROUTINE)routine, (void *)(INT_PTR)atoi(arguments[2]), 0, NULL);
}
