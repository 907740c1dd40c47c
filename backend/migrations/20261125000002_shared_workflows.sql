alter table jobs
    -- The workflow in which the latest run was processed beside those of other jobs; null when it has one of its
    -- own, called job-{id}-run-{run}.
    add column shared_workflow_id text;
