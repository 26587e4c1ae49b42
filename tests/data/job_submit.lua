-- Of the test cluster: it has no accounting database, so this says which accounts there are.
local accounts = { physics = true, chemistry = true }

function slurm_job_submit(job, partitions, user)
    if job.account ~= nil and not accounts[job.account] then
        return slurm.ESLURM_INVALID_ACCOUNT or 2045
    end
    return slurm.SUCCESS
end

function slurm_job_modify(job, record, partitions, user)
    return slurm.SUCCESS
end
